//! Sign-in tokens: who a `hello` speaks for, and until when.
//!
//! Owns the one key a server accepts and the rules for what is signed with it. Called by `session` at `hello` and by
//! `app` at start. Never logs or quotes a token, and never reads the clock: the time comes in.

mod key;

use holdall_protocol::ids::{BadId, PlayerId};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use std::{fmt, net::SocketAddr, path::PathBuf};

/// A longer token is refused unread.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// Clocks may differ by this much; more would keep stolen tokens alive.
pub const LEEWAY_SECONDS_MAX: u64 = 10;
const DEVELOPMENT_PREFIX: &str = "dev:";

/// How players sign in.
#[derive(Debug, Clone)]
pub enum Options {
    /// `dev:<player-id>`, believed without proof.
    Development,
    /// A JSON Web Token from the studio's account system.
    Jwt(Jwt),
}

/// What a JSON Web Token must be signed with and say.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// The one algorithm that is accepted.
    pub algorithm: Algorithm,
    /// Where the key is: the secret's bytes for HS256, the public key as PEM for the others.
    pub key_file: PathBuf,
    /// What `aud` must be or contain.
    pub audience: String,
    /// The claim that holds the player id, mostly `sub`.
    pub player_claim: String,
    /// How far the issuer's clock may be off, at most [`LEEWAY_SECONDS_MAX`].
    pub leeway_seconds: u64,
}

/// A way to sign tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: one secret signs and verifies.
    Hs256,
    /// Ed25519.
    EdDsa,
    /// RSA PKCS #1 v1.5 with SHA-256, at least 2048 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The name in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The player.
    pub player: PlayerId,
    /// When the session must end, in milliseconds since 1970, the leeway included; never in development.
    pub expires_at_ms: Option<u64>,
}

/// Why a token was not accepted. The text tells the game's developer what to change, and quotes nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes; put less into it")]
    TooLong,
    /// Not three parts of base64url and JSON.
    #[error("the token is not a JSON Web Token: send the account system's signed token as it is, without `Bearer`")]
    Malformed,
    /// The header names another algorithm, `none`, or cannot be read.
    #[error("the token's header does not name {0}, the one algorithm this server accepts; sign with {0}")]
    Algorithm(&'static str),
    /// The header asks for extensions (`crit`) that nobody here knows.
    #[error("the token's header has `crit` extensions, which this server does not know; leave them out")]
    Critical,
    /// The signature does not match the server's key.
    #[error("the token's signature does not match this server's key; sign with the key that belongs to it")]
    Signature,
    /// A claim that must be there is missing or of the wrong type.
    #[error("the token needs the claim `{claim}`, as {shape}")]
    Claim {
        /// The claim's name, from the config.
        claim: String,
        /// What it must be.
        shape: &'static str,
    },
    /// The claims are no JSON object, or a standard claim has a shape that cannot even be read.
    #[error("the token's claims cannot be read: `exp` must be a number, `sub` a text, `aud` a text or a list of texts")]
    Claims,
    /// Made for another service.
    #[error("the token's `aud` does not name this game (see `audience` in the server's config)")]
    Audience,
    /// Its time is over.
    #[error("the token has expired; fetch a new one from the account system")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet (`nbf`); compare the clocks of the account system and this server")]
    NotYet,
    /// The player id has other characters or another length than ids have.
    #[error("the token's `{claim}` is no player id: {reason}")]
    Player {
        /// The claim it came from.
        claim: String,
        /// The rule it broke.
        reason: BadId,
    },
    /// A development token on a server that wants real ones.
    #[error("development sign-in is off on this server; send a signed token")]
    DevelopmentOff,
    /// Something else than `dev:<player-id>` on a development server.
    #[error("this server is in development sign-in; send `dev:<player-id>` as the token")]
    DevelopmentOnly,
}

/// Decides whether a token is believed.
pub struct Verifier(Mode);

enum Mode {
    Development,
    Jwt(Box<Believed>),
}

/// What is believed: this key, these claims.
struct Believed {
    options: Jwt,
    key: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Mode::Development => f.write_str("Verifier(development)"),
            Mode::Jwt(believed) => write!(f, "Verifier({})", believed.options.algorithm.as_str()),
        }
    }
}

impl Verifier {
    /// Reads the key, if there is one.
    ///
    /// # Errors
    /// A sentence that names the file or setting and what to change, for the operator at start.
    pub fn new(options: Options) -> Result<Self, String> {
        let jwt = match options {
            Options::Development => return Ok(Self(Mode::Development)),
            Options::Jwt(jwt) => jwt,
        };
        if jwt.audience.is_empty() {
            return Err("auth.audience is empty: name what the tokens' `aud` says for this game".into());
        }
        if jwt.player_claim.is_empty() {
            return Err("auth.player_claim is empty: name the claim that holds the player id, mostly `sub`".into());
        }
        if jwt.leeway_seconds > LEEWAY_SECONDS_MAX {
            return Err(format!("auth.leeway_seconds is {}, more than {LEEWAY_SECONDS_MAX}", jwt.leeway_seconds));
        }
        let key = key::read(jwt.algorithm, &jwt.key_file)?;
        let mut validation = Validation::new(jwt.algorithm.of_library());
        validation.set_audience(&[&jwt.audience]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        // Times are compared here, with the time that comes in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self(Mode::Jwt(Box::new(Believed { options: jwt, key, validation }))))
    }

    /// Whether anybody can be anybody.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        matches!(self.0, Mode::Development)
    }

    /// Who a token speaks for, at the time `now_ms` (milliseconds since 1970).
    ///
    /// # Errors
    /// [`TokenRefused`]; the session ends with `unauthorized`.
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<SignedIn, TokenRefused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefused::TooLong);
        }
        match (&self.0, token.strip_prefix(DEVELOPMENT_PREFIX)) {
            (Mode::Development, None) => Err(TokenRefused::DevelopmentOnly),
            (Mode::Jwt(_), Some(_)) => Err(TokenRefused::DevelopmentOff),
            (Mode::Development, Some(id)) => {
                Ok(SignedIn { player: player(id, "dev:<player-id>")?, expires_at_ms: None })
            }
            (Mode::Jwt(believed), None) => believed.verify(token, now_ms),
        }
    }
}

/// Whether development sign-in may listen there: on a loopback address, where only this machine can connect.
///
/// # Errors
/// A sentence for the operator that says why not and what to do.
pub fn development_allowed(listen: SocketAddr) -> Result<(), String> {
    if listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "development sign-in believes every player id without proof, and {listen} can be reached from other machines: \
         listen on a loopback address such as 127.0.0.1:{}, or set auth.mode = \"jwt\" with a key",
        listen.port()
    ))
}

impl Believed {
    fn verify(&self, token: &str, now_ms: u64) -> Result<SignedIn, TokenRefused> {
        // The header on its own first: `none` and unknown algorithms show as JSON that cannot be read.
        decode_header(token).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => TokenRefused::Algorithm(self.options.algorithm.as_str()),
            _ => TokenRefused::Malformed,
        })?;
        let read = decode::<Map<String, Value>>(token, &self.key, &self.validation)
            .map_err(|error| refused(error.kind(), self.options.algorithm))?;
        if read.header.crit.is_some() {
            return Err(TokenRefused::Critical);
        }
        let claims = &read.claims;
        let leeway_ms = self.options.leeway_seconds.saturating_mul(1_000);
        let expires_at_ms = time_ms(claims, "exp")?.ok_or_else(|| no_time("exp"))?.saturating_add(leeway_ms);
        if now_ms >= expires_at_ms {
            return Err(TokenRefused::Expired);
        }
        if time_ms(claims, "nbf")?.is_some_and(|from| now_ms.saturating_add(leeway_ms) < from) {
            return Err(TokenRefused::NotYet);
        }
        let claim = self.options.player_claim.as_str();
        let id = claims
            .get(claim)
            .and_then(Value::as_str)
            .ok_or_else(|| TokenRefused::Claim { claim: claim.into(), shape: "a text that is the player id" })?;
        Ok(SignedIn { player: player(id, claim)?, expires_at_ms: Some(expires_at_ms) })
    }
}

fn player(id: &str, claim: &str) -> Result<PlayerId, TokenRefused> {
    PlayerId::new(id).map_err(|reason| TokenRefused::Player { claim: claim.into(), reason })
}

/// A claim in seconds since 1970, as milliseconds. Fractions are legal, and are cut.
fn time_ms(claims: &Map<String, Value>, claim: &str) -> Result<Option<u64>, TokenRefused> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let whole = value.as_u64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| (0.0..1e15).contains(seconds))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1e15")]
        let whole = seconds as u64;
        Some(whole)
    });
    whole.map(|seconds| Some(seconds.saturating_mul(1_000))).ok_or_else(|| no_time(claim))
}

fn no_time(claim: &str) -> TokenRefused {
    TokenRefused::Claim { claim: claim.into(), shape: "a number of seconds since 1970" }
}

fn refused(kind: &ErrorKind, algorithm: Algorithm) -> TokenRefused {
    match kind {
        ErrorKind::InvalidAlgorithm => TokenRefused::Algorithm(algorithm.as_str()),
        ErrorKind::InvalidSignature => TokenRefused::Signature,
        ErrorKind::Json(_) => TokenRefused::Claims,
        ErrorKind::InvalidAudience => TokenRefused::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "exp" => no_time("exp"),
        ErrorKind::MissingRequiredClaim(claim) => {
            TokenRefused::Claim { claim: claim.clone(), shape: "a text or a list of texts" }
        }
        _ => TokenRefused::Malformed,
    }
}
