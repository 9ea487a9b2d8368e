//! Which world a realm holds: an empty Redis in place of a known one is a fault of the set-up, and never a new beginning.

use super::{
    OpenError, Options,
    keys::Keys,
    link::{Failure, Link, Live},
    reply,
};
use redis::{Value, cmd};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The field of the world's hash that names the format of what the realm holds, and the one that this build writes.
const FORMAT: (&str, &str) = ("format", "1");

/// How long a start waits for a Redis that is still loading.
const LOADING_TIME_MAX: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The id of the realm's world; begins one where there is none and none is missed.
pub(super) async fn enter(link: &Link, keys: &Keys, options: &Options) -> Result<String, OpenError> {
    let live = first(link).await.map_err(failed)?;
    let world = keys.world();
    let known = options.known_world.as_deref().filter(|_| !options.new_world);
    let realm = &options.realm;
    match read(link, &live, keys, "id").await? {
        None => {
            if let Some(known) = known {
                return Err(OpenError(format!(
                    "this Redis is empty where realm {realm} (world {known}) was before: connect to the right one, or \
                     restore it, or say --new-world to begin anew"
                )));
            }
            // Two servers may begin at once: the first one's id stands.
            let begin = cmd("HSETNX").arg(&world).arg("id").arg(&options.fresh_world).to_owned();
            link.call(&live, &begin).await.map_err(failed)?;
            let format = cmd("HSETNX").arg(&world).arg(FORMAT.0).arg(FORMAT.1).to_owned();
            link.call(&live, &format).await.map_err(failed)?;
        }
        Some(found) => {
            if let Some(known) = known.filter(|known| *known != found) {
                return Err(OpenError(format!(
                    "this Redis holds another world ({found}) in realm {realm} than this data directory has served \
                     ({known}): connect to the right one, use another data directory, or say --new-world to go over to it"
                )));
            }
        }
    }
    known_format(link, &live, keys).await?;
    // Not what was begun here: another server's beginning may have been the first.
    let id = read(link, &live, keys, "id").await?;
    id.ok_or_else(|| OpenError("this Redis has lost the world that was just begun in it".to_owned()))
}

/// The id of the realm's world, where there is one.
pub(super) async fn existing(link: &Link, keys: &Keys, realm: &str) -> Result<String, OpenError> {
    let live = first(link).await.map_err(failed)?;
    let Some(id) = read(link, &live, keys, "id").await? else {
        return Err(OpenError(format!(
            "there is no realm {realm} in this Redis: name another --realm, or another Redis"
        )));
    };
    known_format(link, &live, keys).await?;
    Ok(id)
}

async fn known_format(link: &Link, live: &Live, keys: &Keys) -> Result<(), OpenError> {
    match read(link, live, keys, FORMAT.0).await? {
        Some(format) if format != FORMAT.1 => {
            Err(OpenError(format!("the realm has format {format}, this build reads {}: use the newer build", FORMAT.1)))
        }
        Some(_) | None => Ok(()),
    }
}

/// A field of the world's hash.
async fn read(link: &Link, live: &Live, keys: &Keys, field: &str) -> Result<Option<String>, OpenError> {
    match link.call(live, cmd("HGET").arg(keys.world()).arg(field)).await.map_err(failed)? {
        Value::Nil => Ok(None),
        found => reply::text(found).map(Some).map_err(failed),
    }
}

fn failed(failure: Failure) -> OpenError {
    OpenError(format!("Redis cannot be used: {failure}"))
}

/// The first connection. A Redis that was started together with this server may have much to read first.
async fn first(link: &Link) -> Result<Live, Failure> {
    let begun = Instant::now();
    loop {
        match link.live().await {
            Err(failure) if failure.is_loading() && begun.elapsed() < LOADING_TIME_MAX => sleep(LOOK_AGAIN_AFTER).await,
            answered => return answered,
        }
    }
}
