//! Sign-in tokens: what a bot says to prove who it is.
//!
//! Called by `bot` and `abuse` for every connection, so that no token is older than its connection.

use holdall_protocol::ids::PlayerId;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value};
use std::{
    fmt,
    path::Path,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How a token is signed: what a server can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// A shared secret.
    Hs256,
    /// Ed25519.
    EdDsa,
    /// RSA.
    Rs256,
    /// P-256.
    Es256,
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "HS256" => Ok(Self::Hs256),
            "EdDSA" => Ok(Self::EdDsa),
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            _ => Err("it is HS256, EdDSA, RS256 or ES256".to_owned()),
        }
    }
}

/// What every signed token says beside the player and its end.
#[derive(Debug, Clone)]
pub struct Claims {
    /// The `aud`.
    pub audience: String,
    /// The claim that holds the player id.
    pub player_claim: String,
    /// How long a token is good for.
    pub lifetime: Duration,
}

/// How the bots prove who they are.
#[derive(Debug, Clone)]
pub enum Tokens {
    /// `dev:<player id>`, which a server believes in development.
    Development,
    /// Each signs its own.
    Signed(Arc<Signer>),
}

/// A key that a server trusts.
pub struct Signer {
    key: EncodingKey,
    header: Header,
    claims: Claims,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?})", self.header.alg)
    }
}

impl Signer {
    /// Reads the key: for HS256 the secret itself, otherwise a private key as PEM.
    ///
    /// # Errors
    /// What is wrong with the file, in words.
    pub fn read(algorithm: Algorithm, file: &Path, claims: Claims) -> Result<Self, String> {
        let at = |error: &dyn fmt::Display| format!("{}: {error}", file.display());
        let bytes = std::fs::read(file).map_err(|error| at(&error))?;
        let (key, library) = match algorithm {
            Algorithm::Hs256 => (Ok(EncodingKey::from_secret(secret(&bytes))), jsonwebtoken::Algorithm::HS256),
            Algorithm::EdDsa => (EncodingKey::from_ed_pem(&bytes), jsonwebtoken::Algorithm::EdDSA),
            Algorithm::Rs256 => (EncodingKey::from_rsa_pem(&bytes), jsonwebtoken::Algorithm::RS256),
            Algorithm::Es256 => (EncodingKey::from_ec_pem(&bytes), jsonwebtoken::Algorithm::ES256),
        };
        let key = key.map_err(|error| at(&format!("no private key for {library:?} as PEM: {error}")))?;
        let signer = Self { key, header: Header::new(library), claims };
        // A key that cannot sign is better noticed before ten thousand bots try.
        signer.sign("bot-1").map_err(|error| at(&error))?;
        Ok(signer)
    }

    fn sign(&self, player: &str) -> Result<String, jsonwebtoken::errors::Error> {
        let Claims { audience, player_claim, lifetime } = &self.claims;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut claims = Map::new();
        claims.insert(player_claim.clone(), player.into());
        claims.insert("aud".to_owned(), audience.as_str().into());
        claims.insert("exp".to_owned(), (now + *lifetime).as_secs().into());
        jsonwebtoken::encode(&self.header, &Value::Object(claims), &self.key)
    }
}

/// An editor's line end behind a secret is not part of it, for the server either.
fn secret(bytes: &[u8]) -> &[u8] {
    let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    secret.strip_suffix(b"\r").unwrap_or(secret)
}

impl Tokens {
    /// A token that this player may sign in with.
    pub(crate) fn of(&self, player: &PlayerId) -> String {
        match self {
            Self::Development => format!("dev:{player}"),
            Self::Signed(signer) => signer.sign(player.as_str()).expect("it has signed one before"),
        }
    }

    /// One that looks like it, and is nobody's.
    pub(crate) fn forged(&self, player: &PlayerId) -> String {
        match self {
            Self::Development => "dev:../../etc/passwd".to_owned(),
            Self::Signed(_) => {
                let token = self.of(player);
                let (said, signature) = token.rsplit_once('.').unwrap_or((&token, ""));
                let forged: String = signature.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
                format!("{said}.{forged}")
            }
        }
    }
}
