//! Trained models: what there is, what is served, what a challenger would have said.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, PathId};
use super::problem::{Code, Problem, ProblemBody};
use super::{Service, Shared};
use crate::domain::{Moved, ShadowReport, TrainedModel, Version};
use crate::models::registry::{CHALLENGER, CHAMPION};
use crate::pipeline::{FollowError, Follower, TaggerFollower};

#[derive(Debug, Serialize, ToSchema)]
pub struct ModelsAnswer {
    pub items: Vec<TrainedModel>,
    pub serving: Serving,
}

/// What answers at this moment. It differs from the aliases for a second after they have moved, and where a version was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct Serving {
    /// The model whose aliases are followed.
    pub name: String,
    /// As an answer's `models.classifier` has it.
    pub champion: String,
    /// `null`: none is asked beside it.
    pub challenger: Option<String>,
    /// Who tells the entities, as an answer's `models.ner` has it.
    pub tagger: String,
}

/// All trained models with versions, aliases and scores, and what is served.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, body = ModelsAnswer)))]
pub async fn list(State(service): Shared) -> Result<Answer<ModelsAnswer>, Problem> {
    let models = Arc::clone(&service.models);
    let items = off_the_loop(move || Ok(models.registry().list()?)).await?;
    let seats = service.pipeline.lineup.seats();
    let serving = Serving {
        name: service.models.name().to_owned(),
        champion: seats.champion().version().to_owned(),
        challenger: service.models.report().map(|r| r.challenger),
        tagger: service.pipeline.tagger.load().version().to_owned(),
    };
    Ok(Answer(ModelsAnswer { items, serving }))
}

/// What the challenger would have said to the messages that the champion answered.
#[utoipa::path(get, path = "/v1/models/{name}/shadow", tag = "models", params(("name" = String, Path)), responses(
    (status = 200, body = ShadowReport), (status = 404, description = "No such model, or it has no challenger.", body = ProblemBody),
))]
pub async fn shadow(State(service): Shared, PathId(name): PathId) -> Result<Answer<ShadowReport>, Problem> {
    if name != service.models.name() {
        return Err(unknown(&service, &name));
    }
    let none = || Problem::new(Code::NotFound, format!("{name} has no challenger: PUT /v1/models/{name}/aliases/{CHALLENGER} names one"));
    service.models.report().map(Answer).ok_or_else(none)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// A number, or `shipped`.
    pub version: Version,
}

/// Makes a version the champion; it is served when this answers. One that cannot be loaded is refused and nothing changes.
#[utoipa::path(post, path = "/v1/models/{name}/promote", tag = "models", params(("name" = String, Path)), request_body = Promotion, responses(
    (status = 200, body = Moved), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn promote(State(service): Shared, PathId(name): PathId, Json(request): Json<Promotion>) -> Result<Answer<Moved>, Problem> {
    moved(&service, &name, move |models| models.alias(CHAMPION, Some(&request.version.to_string()))).await
}

/// Makes the champion before this one the champion again; it is served when this answers.
#[utoipa::path(post, path = "/v1/models/{name}/rollback", tag = "models", params(("name" = String, Path)), responses(
    (status = 200, body = Moved), (status = 404, body = ProblemBody),
    (status = 409, description = "There is no earlier champion.", body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn rollback(State(service): Shared, PathId(name): PathId) -> Result<Answer<Moved>, Problem> {
    moved(&service, &name, |models| models.rollback()).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasTarget {
    /// A number, or `shipped`; `null` takes the alias away.
    // Named: a body that forgets it must not read as `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub version: Option<Version>,
}

/// Moves an alias: `challenger` is asked silently beside the champion from now on.
#[utoipa::path(put, path = "/v1/models/{name}/aliases/{alias}", tag = "models", request_body = AliasTarget,
    params(("name" = String, Path), ("alias" = String, Path)), responses(
    (status = 200, body = Moved), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn put_alias(
    State(service): Shared,
    PathId((name, alias)): PathId<(String, String)>,
    Json(target): Json<AliasTarget>,
) -> Result<Answer<Moved>, Problem> {
    moved(&service, &name, move |models| models.alias(&alias, target.version.map(|v| v.to_string()).as_deref())).await
}

/// Moves a model's aliases after trying what they shall name.
trait Moves: Send + Sync {
    fn alias(&self, alias: &str, what: Option<&str>) -> Result<Moved, FollowError>;
    fn rollback(&self) -> Result<Moved, FollowError>;
}

impl Moves for Follower {
    fn alias(&self, alias: &str, what: Option<&str>) -> Result<Moved, FollowError> {
        Follower::alias(self, alias, what)
    }

    fn rollback(&self) -> Result<Moved, FollowError> {
        Follower::rollback(self)
    }
}

impl Moves for TaggerFollower {
    fn alias(&self, alias: &str, what: Option<&str>) -> Result<Moved, FollowError> {
        TaggerFollower::alias(self, alias, what)
    }

    fn rollback(&self) -> Result<Moved, FollowError> {
        TaggerFollower::rollback(self)
    }
}

/// This service moves the aliases of the models that it follows, and no other's: it could not try them.
async fn moved(
    service: &Service,
    name: &str,
    work: impl FnOnce(&dyn Moves) -> Result<Moved, FollowError> + Send + 'static,
) -> Result<Answer<Moved>, Problem> {
    let models: Arc<dyn Moves> = match name {
        name if name == service.models.name() => Arc::<Follower>::clone(&service.models),
        name if name == service.taggers.name() => Arc::<TaggerFollower>::clone(&service.taggers),
        name => return Err(unknown(service, name)),
    };
    off_the_loop(move || work(&*models)).await.map(Answer)
}

fn unknown(service: &Service, name: &str) -> Problem {
    let (intents, entities) = (service.models.name(), service.taggers.name());
    Problem::new(
        Code::NotFound,
        format!("there is {intents} for the intents, {entities} for the entities, and no model {name:?} that could do this"),
    )
}

/// The registry reads disks and tries models.
async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> Result<T, FollowError> + Send + 'static) -> Result<T, Problem> {
    let worked = tokio::task::spawn_blocking(work).await;
    Ok(worked.map_err(|e| Problem::internal(&e))??)
}
