//! Where questions are answered, whatever form they came in: users from the store, new ones by the model.
//!
//! Stores block, on a page that is not in memory or on a network, and so do models: all of it runs on threads of
//! its own, beside those of connections. A request's permit goes along, so that there is never more of it at
//! work than there may be, also when nobody waits for it any more.

use crate::{
    Fallback, Log, OnDemand,
    api::{Batch, Horizon, Id, Lookup, Model, Movement, Prediction, Source, User},
    metrics::Metrics,
    on_demand::{OnDemandModel, PredictError},
    problem::{Kind, Problem},
};
use ltv_online::{Answer, OnlineError, Store, UserId, Version, value};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::{sync::OwnedSemaphorePermit, task::spawn_blocking};

/// Leave to be at work; it ends with its last copy.
pub(crate) type Permit = Arc<OwnedSemaphorePermit>;

/// Answers questions.
pub(crate) struct Desk {
    store: Arc<dyn Store>,
    model: Option<Arc<dyn OnDemand>>,
    fallback: Fallback,
    metrics: Arc<Metrics>,
}

impl Desk {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        model: Option<Arc<dyn OnDemand>>,
        fallback: Fallback,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            model,
            fallback,
            metrics,
        }
    }

    /// What is known of one user.
    pub(crate) async fn user(&self, user: UserId, permit: Permit) -> Result<Lookup, Problem> {
        let answer = self.look_up(vec![user.clone()], permit).await?;
        let (source, mut users) = self.said(&answer, vec![user])?;
        let user = users.pop().filter(User::is_known);
        let user = user.ok_or_else(|| no_such_user(&answer.version))?;
        Ok(Lookup { source, user })
    }

    /// What is known of many users.
    pub(crate) async fn users(&self, ids: Vec<UserId>, permit: Permit) -> Result<Batch, Problem> {
        let answer = self.look_up(ids.clone(), permit).await?;
        let (source, results) = self.said(&answer, ids)?;
        Ok(Batch { source, results })
    }

    /// What is known of one user, and what was in the version before.
    pub(crate) async fn movement(&self, user: UserId, permit: Permit) -> Result<Movement, Problem> {
        let users = vec![user];
        let answer = self.look_up(users.clone(), permit.clone()).await?;
        let (store, asked) = (self.store.clone(), users.clone());
        let live = answer.version.id.clone();
        let before = spawn_blocking(move || {
            let before = before(&*store, &live, &asked);
            drop(permit);
            before
        });
        let before = before.await.map_err(Problem::failed)??;
        let unknown = || no_such_user(&answer.version);
        let lookup = |answer: &Answer| {
            let (source, mut said) = self.said(answer, users.clone())?;
            let user = said.pop().ok_or_else(unknown)?;
            Ok(Lookup { source, user })
        };
        let movement = Movement {
            live: lookup(&answer)?,
            before: before.as_ref().map(lookup).transpose()?,
        };
        let known = |of: &Lookup| of.user.is_known();
        match known(&movement.live) || movement.before.as_ref().is_some_and(known) {
            true => Ok(movement),
            false => Err(unknown()),
        }
    }

    async fn look_up(&self, users: Vec<UserId>, permit: Permit) -> Result<Answer, Problem> {
        let store = self.store.clone();
        let answered = spawn_blocking(move || {
            let answer = store.get(&users).map_err(|error| refuse(error, &users));
            drop(permit);
            answer
        });
        let answer = answered.await.map_err(Problem::failed)??;
        let found = answer.predictions.iter().flatten().count();
        self.metrics.looked_up(answer.predictions.len(), found);
        Ok(answer)
    }

    /// An answer in words.
    fn said(&self, answer: &Answer, ids: Vec<UserId>) -> Result<(Source, Vec<User>), Problem> {
        let version = &*answer.version;
        let mut users = Vec::with_capacity(ids.len());
        for (id, prediction) in ids.into_iter().zip(&answer.predictions) {
            let user_id = id.of_kind(version.users);
            // Without the id, which is not for the log.
            let defect = |_| Problem::failed("the store answered for what is none of its ids");
            let user_id = Id(user_id.map_err(defect)?);
            users.push(match prediction {
                Some(found) => User {
                    user_id,
                    found: true,
                    status: Some(version.status(found.status).to_owned()),
                    fallback: None,
                    horizons: horizons(&found.numbers, version),
                },
                None => self.unknown(user_id, version),
            });
        }
        Ok((version.into(), users))
    }

    /// What is said of a user who is not in the version.
    fn unknown(&self, user_id: Id, version: &Version) -> User {
        let expected = match &self.fallback {
            Fallback::None => None,
            Fallback::Mean => version.expected(None),
            Fallback::Status(status) => version.expected(Some(status)),
        };
        User {
            user_id,
            found: false,
            status: None,
            fallback: expected.as_ref().map(|_| self.fallback.to_string()),
            horizons: expected.map_or_else(Vec::new, |means| horizons(&means, version)),
        }
    }

    /// A prediction for a user of whom these features are known.
    pub(crate) async fn predict(
        &self,
        features: Map<String, Value>,
        permit: Permit,
    ) -> Result<Prediction, Problem> {
        let Some(model) = self.model.clone() else {
            let detail = "this server was started without a model; look users up instead";
            return Err(Problem::new(Kind::NoModel, detail));
        };
        let predicted = spawn_blocking(move || {
            let predicted = model.predict(&features);
            drop(permit);
            predicted.map(|predicted| Prediction {
                model_id: predicted.model_id,
                horizons: predicted.horizons.into_iter().map(Horizon::from).collect(),
            })
        });
        let predicted = predicted.await.map_err(Problem::failed)?;
        predicted.map_err(|error| match error {
            PredictError::Features { problem } => Problem::new(Kind::Features, problem),
            PredictError::Failed { problem } => Problem::failed(problem),
        })
    }

    /// What is live.
    pub(crate) fn model(&self) -> Result<Model, Problem> {
        let live = self.live()?;
        let fallback = self.fallback.to_string();
        Ok(Model::new(&live, fallback, self.on_demand()))
    }

    /// The version that is live.
    pub(crate) fn live(&self) -> Result<Arc<Version>, Problem> {
        let detail = "publish a snapshot with 'ltv publish'";
        let none = || Problem::new(Kind::NotReady, detail);
        self.store.live().ok_or_else(none)
    }

    /// The model that predicts on demand.
    pub(crate) fn on_demand(&self) -> Option<OnDemandModel> {
        Some(self.model.as_ref()?.describe())
    }

    /// Predicts by another model from now on, if there is one. False where it cannot be used, which is warned of
    /// once.
    pub(crate) fn reload(&self, log: &dyn Log) -> bool {
        let Some(model) = &self.model else {
            return true;
        };
        match model.refresh() {
            Ok(false) => true,
            Ok(true) => {
                let id = model.describe().model_id;
                log.note(&format!("model {id} predicts on demand from now on"));
                true
            }
            Err(problem) => {
                log.warning(&format!("{problem}; the model from before stays"));
                false
            }
        }
    }
}

fn no_such_user(version: &Version) -> Problem {
    let detail = format!("no such user in version {}", version.id);
    Problem::new(Kind::UnknownUser, detail)
}

fn horizons(numbers: &[f32], version: &Version) -> Vec<Horizon> {
    let horizons = value::horizons(numbers, version.horizons.days());
    horizons.into_iter().map(Horizon::from).collect()
}

/// Users in the version before `live`; none where there is none, or where its ids are of another kind.
fn before(store: &dyn Store, live: &str, users: &[UserId]) -> Result<Option<Answer>, Problem> {
    let previous = store.previous().map_err(Problem::failed)?;
    // Another version may have gone live since.
    let Some(version) = previous.filter(|version| version.id != live) else {
        return Ok(None);
    };
    match store.peek(&version.id, users) {
        Ok(answer) => Ok(Some(answer)),
        Err(OnlineError::Id { .. }) => Ok(None),
        // It may have been removed since.
        Err(error) => match store.previous().map_err(Problem::failed)? {
            Some(later) if later.id == version.id => Err(Problem::failed(error)),
            _ => Ok(None),
        },
    }
}

/// Why a look-up failed. Of a batch, which id is at fault.
fn refuse(error: OnlineError, users: &[UserId]) -> Problem {
    match error {
        OnlineError::Empty { .. } => {
            Problem::new(Kind::NotReady, "publish a snapshot with 'ltv publish'")
        }
        OnlineError::Id { ref text, .. } if users.len() > 1 => {
            let wrong = |user: &UserId| matches!(user, UserId::Text(id) if id == text);
            let place = users.iter().position(wrong).unwrap_or_default();
            Problem::new(Kind::BadRequest, format!("user_ids[{place}]: {error}"))
        }
        OnlineError::Id { .. } => Problem::new(Kind::BadRequest, error.to_string()),
        OnlineError::Store { .. } => Problem::no_store(error),
        other => Problem::failed(other),
    }
}
