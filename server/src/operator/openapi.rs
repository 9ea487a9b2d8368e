//! The description of every route, made from the routes themselves.
//!
//! A route says what it answers of its own accord. What the layers around it answer is added here: to whoever bears no key,
//! to a body that cannot be read, to a wait that is too long.

use super::answers::Said;
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        Components, ContentBuilder, Info, OpenApi, Ref, RefOr, Response, Responses,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

/// The name of the security scheme.
const KEY: &str = "key";

const ABOUT: &str = "Every write to a player, and every restock, bears an idempotency key (the header `Idempotency-Key`, or \
                     `key` in the body) and a reason, both kept in the ledger or the audit; the other writes of the shop \
                     may bear a key. What is said again under its key within seven days gets the first answer, and does \
                     nothing again; with another body it is refused. Every \"no\" is a `Failure`; where the rules of the \
                     game refuse, its code is one of the protocol's.";

/// Describes the routes that are open to everybody, and those that need a key.
pub(super) fn describe(mut open: OpenApi, mut guarded: OpenApi) -> OpenApi {
    for item in open.paths.paths.values_mut() {
        operations(item).for_each(|(_, operation)| explain(&mut operation.responses));
    }
    for item in guarded.paths.paths.values_mut() {
        operations(item).for_each(|(method, operation)| guard(method, operation));
    }
    open.merge(guarded);
    open.info = Info::new("Holdall, for operators", env!("CARGO_PKG_VERSION"));
    open.info.description = Some(ABOUT.to_owned());
    let components = open.components.get_or_insert_with(Components::new);
    components.schemas.insert(Said::name().into_owned(), Said::schema());
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(KEY, scheme);
    open
}

/// Whether an operation changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Writes,
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Effect, &mut Operation)> {
    let reads = item.get.iter_mut().map(|operation| (Effect::Reads, operation));
    reads.chain(item.post.iter_mut().map(|operation| (Effect::Writes, operation)))
}

fn guard(effect: Effect, operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new(KEY, Vec::<String>::new())]);
    let by_layers: &[u16] = match effect {
        Effect::Reads if operation.parameters.is_none() => &[401, 503],
        Effect::Reads => &[400, 401, 503],
        Effect::Writes => &[400, 401, 403, 413, 415, 503],
    };
    for status in by_layers {
        operation.responses.responses.entry(status.to_string()).or_insert_with(|| Response::default().into());
    }
    explain(&mut operation.responses);
}

/// Gives every answer that has no words those of its status, and every failure that has no shape the shape of all.
fn explain(responses: &mut Responses) {
    for (status, response) in &mut responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            meaning(status).unwrap_or("Done").clone_into(&mut response.description);
        }
        if response.content.is_empty() && !status.starts_with('2') {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Said::name()))).build();
            response.content.insert("application/json".to_owned(), content.into());
        }
    }
}

/// What a failure of this status says; nothing for what is none.
fn meaning(status: &str) -> Option<&'static str> {
    Some(match status {
        "400" => "What was asked for cannot be read, or cannot be, whatever the state of things",
        "401" => "No key, or none that is known",
        "403" => "The key can look and change nothing",
        "404" => "There is no such thing",
        "409" => "The rules say no, for now; or the idempotency key was used for something else",
        "413" => "The body is too large",
        "415" => "The body is not said to be JSON",
        "422" => "What is stored of it cannot be read; it is left as it is",
        "500" => "A fault in the server; nothing was changed",
        "503" => {
            "Not now: the store is away, or there was no answer in time. The same again, with the same key, is right"
        }
        _ => return None,
    })
}
