//! The description of the interface: an OpenAPI 3.1 document made of the routes and types themselves.

use crate::{
    on_demand::{FeatureKind, OnDemandModel},
    problem::ProblemDocument,
    shared::Shared,
};
use utoipa::{
    OpenApi as _, PartialSchema as _,
    openapi::{
        Components, Content, OpenApi, Ref, RefOr, ResponseBuilder, Schema,
        path::Operation,
        schema::{
            AdditionalProperties, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
        },
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "ltv",
    description = "Published customer lifetime values: look-ups by user id, all of one version at a time."
))]
struct Base;

/// The document without routes.
pub(crate) fn base() -> OpenApi {
    Base::openapi()
}

/// Statuses that any route may answer with, once it asks for tokens and has limits.
const ANY: [(&str, &str); 5] = [
    ("400", "The request cannot be understood"),
    ("401", "A token is needed"),
    ("413", "The body or the batch is too large"),
    ("500", "The server failed; its log says why"),
    (
        "503",
        "Nothing is published, too much is asked at once, or it took too long: try again",
    ),
];

/// Adds what is known of a server: what its model reads, who may ask, and what goes wrong.
pub(crate) fn complete(document: &mut OpenApi, shared: &Shared) {
    let model = shared.desk.on_demand();
    if model.is_none() {
        document.paths.paths.remove("/v1/predict");
    }
    let components = document.components.get_or_insert_with(Components::new);
    let schemas = &mut components.schemas;
    schemas.insert("Problem".into(), ProblemDocument::schema());
    schemas.insert("Features".into(), features(model.as_ref()));
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    for (path, item) in &mut document.paths.paths {
        let open = crate::routes::OPEN.contains(&path.as_str());
        let operations = [&mut item.get, &mut item.post];
        for operation in operations.into_iter().flatten() {
            refusals(operation, path, open);
            if shared.tokens.is_some() && !open {
                let token = SecurityRequirement::new("token", [""; 0]);
                operation.security = Some(vec![token]);
            }
        }
    }
}

/// What an operation may answer in place of what was asked for.
fn refusals(operation: &mut Operation, path: &str, open: bool) {
    let mut add = |status: &str, words: &str| {
        let problem = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
        let response = ResponseBuilder::new()
            .description(words)
            .content("application/problem+json", problem)
            .build();
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_owned(), response.into());
    };
    match path {
        "/healthz" => {}
        "/readyz" => add("503", "It does not"),
        "/v1/ltv/{user_id}" | "/v1/ltv/{user_id}/movement" => {
            add("404", "The user is not known, and there is no fallback")
        }
        "/v1/predict" => add("422", "These are no features of a user"),
        _ => {}
    }
    if !open {
        ANY.iter().for_each(|(status, words)| add(status, words));
    }
}

/// What the model reads.
fn features(model: Option<&OnDemandModel>) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Values by the names of features"));
    let features = model.map_or(&[][..], |model| &model.features);
    for feature in features {
        let mut kinds = match feature.kind {
            FeatureKind::Number => vec![Type::Number, Type::Boolean],
            FeatureKind::Integer => vec![Type::Integer],
            FeatureKind::Category => vec![Type::String, Type::Integer, Type::Boolean],
            FeatureKind::Date => vec![Type::String],
        };
        if !feature.required {
            kinds.push(Type::Null);
        }
        let mut value = ObjectBuilder::new().schema_type(SchemaType::Array(kinds));
        if feature.kind == FeatureKind::Date {
            value = value.format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
        }
        object = object.property(&feature.name, value);
        if feature.required {
            object = object.required(&feature.name);
        }
    }
    let others = AdditionalProperties::FreeForm(false);
    object.additional_properties(Some(others)).into()
}
