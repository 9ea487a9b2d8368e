//! The key that sign-in tokens are checked with, from its file.

use super::Algorithm;
use jsonwebtoken::{DecodingKey, crypto, errors::Error};
use std::path::Path;

/// A shorter shared secret can be guessed.
const SECRET_BYTES_MIN: usize = 32;
/// An Ed25519 public key, exactly.
const ED_BYTES: usize = 32;
/// A point on P-256, compressed.
const EC_BYTES_MIN: usize = 33;
/// DER of a public RSA key of 2048 bits.
const RSA_BYTES_MIN: usize = 256;

/// Reads and checks the key: a key that cannot work stops the start, not the first player.
pub(super) fn read(algorithm: Algorithm, file: &Path) -> Result<DecodingKey, String> {
    let bytes =
        std::fs::read(file).map_err(|error| format!("auth.key_file {} cannot be read: {error}", file.display()))?;
    let key = match algorithm {
        Algorithm::Hs256 => secret(&bytes),
        Algorithm::EdDsa => public_key(algorithm, &bytes, DecodingKey::from_ed_pem, ED_BYTES),
        Algorithm::Es256 => public_key(algorithm, &bytes, DecodingKey::from_ec_pem, EC_BYTES_MIN),
        Algorithm::Rs256 => public_key(algorithm, &bytes, DecodingKey::from_rsa_pem, RSA_BYTES_MIN),
    };
    key.map_err(|reason| format!("auth.key_file {} {reason}", file.display()))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"-----BEGIN")
}

fn secret(bytes: &[u8]) -> Result<DecodingKey, String> {
    // A public key taken for a shared secret would let everybody who knows it sign.
    if is_pem(bytes) {
        return Err("is PEM, but HS256 takes the bytes of a secret".into());
    }
    let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.len() < SECRET_BYTES_MIN {
        return Err(format!("holds {} bytes; HS256 needs {SECRET_BYTES_MIN} or more, random ones", secret.len()));
    }
    Ok(DecodingKey::from_secret(secret))
}

fn public_key(
    algorithm: Algorithm,
    bytes: &[u8],
    from_pem: fn(&[u8]) -> Result<DecodingKey, Error>,
    bytes_min: usize,
) -> Result<DecodingKey, String> {
    let name = algorithm.as_str();
    if !is_pem(bytes) {
        return Err(format!("is not PEM; {name} takes a public key as PEM"));
    }
    if String::from_utf8_lossy(bytes).contains("PRIVATE KEY") {
        return Err("holds a private key; give this server the public one, which is all it needs".into());
    }
    let key = from_pem(bytes).map_err(|error| format!("holds no public key for {name}: {error}"))?;
    if key.try_get_as_bytes().map_or(0, <[u8]>::len) < bytes_min {
        return Err(format!("holds a key that is too short for {name}"));
    }
    // A point that is not on the curve only shows when the key is used.
    match crypto::verify("AAAA", b"", &key, algorithm.of_library()) {
        Ok(_) => Ok(key),
        Err(error) => Err(format!("holds a key that {name} cannot use: {error}")),
    }
}
