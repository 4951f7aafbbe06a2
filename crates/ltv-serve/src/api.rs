//! What is asked and answered, as JSON (docs/formats/http.md).

use ltv_core::Day;
use ltv_online::{
    UserId, UserKind, Version,
    user::LONGEST,
    value::{self, Detail},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, marker::PhantomData};
use utoipa::{PartialSchema, ToSchema, openapi};

use crate::on_demand::OnDemandModel;

/// The largest whole number that every reader of JSON knows exactly: 2^53 - 1.
const EXACT: u64 = (1 << 53) - 1;

/// An id of a user in JSON. Both forms are read, whatever the store's ids are. Numbers beyond 2^53 - 1 are
/// written as text, because many readers of JSON would change them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) UserId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            UserId::Number(id) if id.unsigned_abs() <= EXACT => to.serialize_i64(*id),
            UserId::Number(id) => to.collect_str(id),
            UserId::Text(id) => to.serialize_str(id),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id: a whole number of 64 bits, or text")
    }

    fn visit_i64<E: de::Error>(self, id: i64) -> Result<Id, E> {
        Ok(Id(UserId::Number(id)))
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
        let number = i64::try_from(id);
        let refuse = |_| de::Error::invalid_value(de::Unexpected::Unsigned(id), &self);
        Ok(Id(UserId::Number(number.map_err(refuse)?)))
    }

    /// `7.0` is a whole number to JSON Schema, and some programs write all numbers so. Larger ones may have been
    /// another before they were read.
    fn visit_f64<E: de::Error>(self, id: f64) -> Result<Id, E> {
        if id.fract() != 0.0 || id.abs() > EXACT as f64 {
            return Err(de::Error::invalid_value(de::Unexpected::Float(id), &self));
        }
        Ok(Id(UserId::Number(id as i64)))
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<Id, E> {
        Ok(Id(UserId::Text(id.into())))
    }
}

impl PartialSchema for Id {
    fn schema() -> openapi::RefOr<openapi::Schema> {
        use openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(LONGEST));
        let words = "A user's id: a number, or text of 1 to 511 bytes; where the store's ids are numbers, the text of one. Numbers beyond 2^53 - 1 are written as text.";
        OneOfBuilder::new()
            .item(number)
            .item(text)
            .description(Some(words))
            .into()
    }
}

impl ToSchema for Id {}

/// What is predicted for one horizon. Of versions with values alone, nothing else is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct Horizon {
    /// Days.
    pub(crate) days: u32,
    /// Predicted value, in units of the label.
    pub(crate) ltv: f32,
    /// A tenth of users like this one stay below.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) p10: Option<f32>,
    /// Half of them do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) p50: Option<f32>,
    /// Nine tenths do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) p90: Option<f32>,
    /// How probable a value above zero is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) positive: Option<f32>,
}

impl From<value::Horizon> for Horizon {
    fn from(of: value::Horizon) -> Self {
        Self {
            days: of.days,
            ltv: of.ltv,
            p10: of.distribution.map(|d| d.p10),
            p50: of.distribution.map(|d| d.p50),
            p90: of.distribution.map(|d| d.p90),
            positive: of.distribution.map(|d| d.positive),
        }
    }
}

/// What is known of one user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    /// The user.
    pub(crate) user_id: Id,
    /// Whether the user is in the version.
    pub(crate) found: bool,
    /// The user's status on the as-of date, such as `active`; of users who were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) status: Option<String>,
    /// Whose means stand in for a user who was not found: `mean` or `status:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) fallback: Option<String>,
    /// One for each horizon; empty where nothing is known.
    pub(crate) horizons: Vec<Horizon>,
}

impl User {
    /// Whether anything is said of the user.
    pub(crate) fn is_known(&self) -> bool {
        self.found || self.fallback.is_some()
    }
}

/// Which version an answer is from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Source {
    /// The version.
    #[schema(example = "2024-04-01-5d0bc2a9e1f34b67")]
    pub(crate) version: String,
    /// As-of date of its predictions.
    #[schema(value_type = String, format = Date)]
    pub(crate) as_of: Day,
    /// The model that made them.
    pub(crate) model_id: String,
}

impl From<&Version> for Source {
    fn from(version: &Version) -> Self {
        Self {
            version: version.id.clone(),
            as_of: version.as_of,
            model_id: version.model_id.clone(),
        }
    }
}

/// The answer to a look-up of one user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lookup {
    #[serde(flatten)]
    pub(crate) source: Source,
    #[serde(flatten)]
    pub(crate) user: User,
}

/// What is known of one user now, and what was in the version before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Movement {
    /// In the version that is live.
    pub(crate) live: Lookup,
    /// In the version before, while it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) before: Option<Lookup>,
}

/// A document that is an object: types that are read take a list of their fields as well, in their order, which
/// nobody was told of.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        let fields = de::value::MapAccessDeserializer::new(map);
        T::deserialize(fields).map(Object)
    }
}

/// A look-up of many users.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// Whom to look up, in any order.
    pub(crate) user_ids: Vec<Id>,
}

/// The answer to a look-up of many users, all of one version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Batch {
    #[serde(flatten)]
    pub(crate) source: Source,
    /// One for each id, in their order.
    pub(crate) results: Vec<User>,
}

/// What is known of a new user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PredictRequest {
    /// Values by the names of features (`/v1/model` lists them).
    #[schema(schema_with = features)]
    pub(crate) features: Map<String, Value>,
}

/// Filled in when it is known what the model reads (`openapi.rs`).
fn features() -> openapi::RefOr<openapi::Schema> {
    openapi::Ref::from_schema_name("Features").into()
}

/// What is predicted for a new user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Prediction {
    /// The model.
    pub(crate) model_id: String,
    /// One for each horizon.
    pub(crate) horizons: Vec<Horizon>,
}

/// What is live.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Model {
    #[serde(flatten)]
    source: Source,
    /// When it was published, in UTC.
    #[schema(format = DateTime)]
    published: String,
    /// Days of the horizons.
    horizons: Vec<u32>,
    /// How values were decoded from predicted distributions.
    #[schema(example = "expectation")]
    decoding: String,
    /// How much of each user was published: `everything`, or `values` alone.
    #[schema(value_type = String)]
    detail: Detail,
    /// Whether a longer horizon is never worth less than a shorter one.
    monotone: bool,
    /// Users.
    rows: u64,
    /// What their ids are: `number` or `text`.
    #[schema(value_type = String)]
    users: UserKind,
    /// Users by status.
    statuses: BTreeMap<String, u64>,
    /// What is answered of users who are not known: `none`, `mean` or `status:NAME`.
    fallback: String,
    /// The model that predicts on demand, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    on_demand: Option<OnDemandModel>,
}

impl Model {
    pub(crate) fn new(
        version: &Version,
        fallback: String,
        on_demand: Option<OnDemandModel>,
    ) -> Self {
        let segments = version.segments.iter();
        Self {
            source: version.into(),
            published: version.published.clone(),
            horizons: version.horizons.days().to_vec(),
            decoding: version.decoding.clone(),
            detail: version.detail,
            monotone: version.monotone,
            rows: version.rows,
            users: version.users,
            statuses: segments.map(|(name, s)| (name.clone(), s.rows)).collect(),
            fallback,
            on_demand,
        }
    }
}

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    pub(crate) status: &'static str,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back_as_they_were(number: i64, text: String) {
            let back = |id: UserId| -> UserId {
                let json = serde_json::to_string(&Id(id)).unwrap();
                serde_json::from_str::<Id>(&json).unwrap().0
            };
            // A number that not every reader knows comes as the text of its digits.
            let number = UserId::Number(number);
            prop_assert_eq!(back(number.clone()).of_kind(UserKind::Number).unwrap(), number);
            let text = UserId::Text(text);
            prop_assert_eq!(back(text.clone()), text);
        }
    }

    #[test]
    fn a_list_is_no_object() {
        let read = |text: &str| serde_json::from_str::<Object<BatchRequest>>(text);
        assert_eq!(read(r#"{"user_ids":[7]}"#).unwrap().0.user_ids.len(), 1);
        for wrong in ["[[7]]", "[[]]", "7", "null", r#""user_ids""#] {
            let error = read(wrong).err().unwrap().to_string();
            assert!(error.contains("expected an object"), "{wrong}: {error}");
        }
        let error = read(r#"{"user_ids":[7],"more":1}"#).err().unwrap();
        assert!(
            error.to_string().contains("unknown field `more`"),
            "{error}"
        );
    }

    #[test]
    fn numbers_that_readers_would_change_are_text() {
        let json = |id| serde_json::to_string(&Id(UserId::Number(id))).unwrap();
        assert_eq!(json(9_007_199_254_740_991), "9007199254740991");
        assert_eq!(json(9_007_199_254_740_992), "\"9007199254740992\"");
        assert_eq!(json(i64::MIN), "\"-9223372036854775808\"");
        for (text, number) in [
            ("7.0", 7),
            ("-0.0", 0),
            ("9007199254740991.0", 9_007_199_254_740_991),
        ] {
            let id: Id = serde_json::from_str(text).unwrap();
            assert_eq!(id.0, UserId::Number(number), "{text}");
        }
        for wrong in [
            "7.5",
            "9007199254740992.0",
            "1e300",
            "null",
            "9223372036854775808",
            "[1]",
            "true",
        ] {
            let error = serde_json::from_str::<Id>(wrong).unwrap_err().to_string();
            assert!(error.contains("whole number of 64 bits"), "{error}");
        }
    }
}
