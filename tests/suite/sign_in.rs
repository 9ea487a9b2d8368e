//! Sign-in tokens: who is believed, and what the others are told.

use holdall_server::session::token::{Algorithm, Jwt, Options, TokenRefused, Verifier, development_allowed};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The tests' "now", far from the machine's.
const NOW_MS: u64 = 4_000_000_000_000;
const NOW: u64 = NOW_MS / 1_000;

pub(crate) fn key_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/keys").join(name)
}

fn key_bytes(name: &str) -> Vec<u8> {
    std::fs::read(key_file(name)).unwrap()
}

fn jwt(algorithm: Algorithm, file: &str) -> Jwt {
    Jwt {
        algorithm,
        key_file: key_file(file),
        audience: "the-game".into(),
        player_claim: "sub".into(),
        leeway_seconds: 5,
    }
}

fn verifier(algorithm: Algorithm, file: &str) -> Verifier {
    Verifier::new(Options::Jwt(jwt(algorithm, file))).unwrap()
}

fn ed() -> Verifier {
    verifier(Algorithm::EdDsa, "ed25519.public.pem")
}

fn claims() -> Value {
    json!({"sub": "anna", "aud": "the-game", "exp": NOW + 60})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn signing_key(algorithm: jsonwebtoken::Algorithm) -> EncodingKey {
    match algorithm {
        jsonwebtoken::Algorithm::EdDSA => EncodingKey::from_ed_pem(&key_bytes("ed25519.private.pem")).unwrap(),
        jsonwebtoken::Algorithm::ES256 => EncodingKey::from_ec_pem(&key_bytes("es256.private.pem")).unwrap(),
        jsonwebtoken::Algorithm::RS256 | jsonwebtoken::Algorithm::PS256 => {
            EncodingKey::from_rsa_pem(&key_bytes("rs256.private.pem")).unwrap()
        }
        _ => EncodingKey::from_secret(key_bytes("hs256.secret").trim_ascii_end()),
    }
}

pub(crate) fn sign_as(algorithm: jsonwebtoken::Algorithm, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &signing_key(algorithm)).unwrap()
}

fn sign(claims: &Value) -> String {
    sign_as(jsonwebtoken::Algorithm::EdDSA, claims)
}

pub(crate) fn base64url(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    out
}

fn no(token: &str) -> TokenRefused {
    let refused = ed().verify(token, NOW_MS).expect_err("a bad token is refused");
    let text = refused.to_string();
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!text.contains(part), "{text} quotes the token");
    }
    refused
}

#[test]
fn every_algorithm_signs_somebody_in() {
    for (algorithm, library, file) in [
        (Algorithm::Hs256, jsonwebtoken::Algorithm::HS256, "hs256.secret"),
        (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA, "ed25519.public.pem"),
        (Algorithm::Es256, jsonwebtoken::Algorithm::ES256, "es256.public.pem"),
        (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256, "rs256.public.pem"),
    ] {
        let signed_in = verifier(algorithm, file).verify(&sign_as(library, &claims()), NOW_MS).unwrap();
        assert_eq!(signed_in.player.as_str(), "anna");
        assert_eq!(signed_in.expires_at_ms, Some((NOW + 60 + 5) * 1_000), "the leeway is included");
    }
}

#[test]
fn only_the_one_algorithm_is_accepted() {
    let unsigned =
        |alg: &str| format!("{}.{}.", base64url(&format!(r#"{{"alg":"{alg}"}}"#)), base64url(&claims().to_string()));
    for alg in ["none", "None", "NONE", "", "XX"] {
        assert!(matches!(no(&unsigned(alg)), TokenRefused::Algorithm("EdDSA")), "{alg}");
    }
    for other in [jsonwebtoken::Algorithm::HS256, jsonwebtoken::Algorithm::RS256, jsonwebtoken::Algorithm::ES256] {
        assert!(matches!(no(&sign_as(other, &claims())), TokenRefused::Algorithm("EdDSA")), "{other:?}");
    }
    // One family is not enough: a key for RS256 is not one for PS256 or RS512, nor one for HS256 for HS512.
    for (algorithm, file, other) in [
        (Algorithm::Rs256, "rs256.public.pem", jsonwebtoken::Algorithm::PS256),
        (Algorithm::Hs256, "hs256.secret", jsonwebtoken::Algorithm::HS512),
    ] {
        let refused = verifier(algorithm, file).verify(&sign_as(other, &claims()), NOW_MS);
        assert!(matches!(refused, Err(TokenRefused::Algorithm(_))), "{other:?}: {refused:?}");
    }
    // The public key is no secret: a token signed with its bytes is the classic forgery.
    let forged = jsonwebtoken::encode(
        &Header::new(jsonwebtoken::Algorithm::HS256),
        &claims(),
        &EncodingKey::from_secret(&key_bytes("ed25519.public.pem")),
    )
    .unwrap();
    assert!(matches!(no(&forged), TokenRefused::Algorithm("EdDSA")));
}

#[test]
fn a_signature_must_be_of_the_key_and_of_these_claims() {
    let other = EncodingKey::from_ed_pem(&key_bytes("ed25519_other.private.pem")).unwrap();
    let foreign = jsonwebtoken::encode(&Header::new(jsonwebtoken::Algorithm::EdDSA), &claims(), &other).unwrap();
    assert_eq!(no(&foreign), TokenRefused::Signature);
    let token = sign(&claims());
    let (head, rest) = token.split_once('.').unwrap();
    let signature = rest.split_once('.').unwrap().1;
    let forged = format!("{head}.{}.{signature}", base64url(&with("sub", json!("bob")).to_string()));
    assert_eq!(no(&forged), TokenRefused::Signature);
    assert_eq!(no(&format!("{head}.{}", rest.split_once('.').unwrap().0)), TokenRefused::Malformed);
}

#[test]
fn times_are_judged_by_the_clock_that_is_passed_in() {
    let at = |exp: Value| ed().verify(&sign(&with("exp", exp)), NOW_MS);
    assert!(at(json!(NOW - 4)).is_ok(), "within the leeway");
    assert!(at(json!(NOW as f64 + 0.5)).is_ok(), "a fraction is legal");
    assert!(at(json!(u64::MAX)).is_ok());
    assert_eq!(at(json!(NOW - 5)), Err(TokenRefused::Expired));
    assert_eq!(at(json!(0)), Err(TokenRefused::Expired));
    assert_eq!(at(json!([NOW + 60])), Err(TokenRefused::Claims));
    for bad in [json!("4000000060"), json!(-1), json!(1e300), json!(null)] {
        let refused = at(bad.clone());
        assert!(matches!(&refused, Err(TokenRefused::Claim { claim, .. }) if claim == "exp"), "{bad}: {refused:?}");
    }
    assert!(matches!(no(&sign(&without("exp"))), TokenRefused::Claim { claim, .. } if claim == "exp"));
    assert_eq!(no(&sign(&with("nbf", json!(NOW + 6)))), TokenRefused::NotYet);
    assert!(ed().verify(&sign(&with("nbf", json!(NOW + 5))), NOW_MS).is_ok());
}

#[test]
fn the_audience_is_this_game() {
    for aud in [json!("another-game"), json!(["a", "b"]), json!([]), json!("")] {
        assert_eq!(no(&sign(&with("aud", aud.clone()))), TokenRefused::Audience, "{aud}");
    }
    for aud in [json!(null), json!(7), json!({"the-game": true})] {
        assert!(
            matches!(no(&sign(&with("aud", aud.clone()))), TokenRefused::Claim { claim, .. } if claim == "aud"),
            "{aud}"
        );
    }
    assert!(matches!(no(&sign(&without("aud"))), TokenRefused::Claim { claim, .. } if claim == "aud"));
    assert!(ed().verify(&sign(&with("aud", json!(["shop", "the-game"]))), NOW_MS).is_ok());
}

#[test]
fn the_player_is_a_claim_of_the_right_alphabet() {
    for id in [json!(""), json!("a b"), json!("../../etc"), json!("änna"), json!("a".repeat(65))] {
        let refused = no(&sign(&with("sub", id.clone())));
        assert!(matches!(refused, TokenRefused::Player { .. }), "{id}: {refused}");
        assert!(refused.to_string().contains("1 to 64 characters of A-Z"), "{refused}");
    }
    for id in [json!(7), json!(null), json!(["anna"])] {
        let refused = no(&sign(&with("sub", id.clone())));
        assert!(refused.to_string().contains("`sub`"), "{id}: {refused}");
    }
    let mut options = jwt(Algorithm::EdDsa, "ed25519.public.pem");
    options.player_claim = "character".into();
    let verifier = Verifier::new(Options::Jwt(options)).unwrap();
    let signed_in = verifier.verify(&sign(&with("character", json!("anna-2"))), NOW_MS).unwrap();
    assert_eq!(signed_in.player.as_str(), "anna-2");
    assert!(verifier.verify(&sign(&claims()), NOW_MS).is_err(), "`sub` is not asked then");
}

#[test]
fn what_is_no_token_is_refused_before_it_costs_anything() {
    assert_eq!(no(&"a".repeat(1 << 20)), TokenRefused::TooLong);
    assert_eq!(no(&sign(&with("filler", json!("x".repeat(8_192))))), TokenRefused::TooLong);
    for text in ["", "a", "a.b", "....", "Bearer", "\0\0\0", "ü.ü.ü"] {
        assert!(matches!(no(text), TokenRefused::Malformed | TokenRefused::Algorithm(_)), "{text}");
    }
    let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.crit = Some(vec!["b64".into()]);
    let token = jsonwebtoken::encode(&header, &claims(), &signing_key(header.alg)).unwrap();
    assert_eq!(no(&token), TokenRefused::Critical);
}

#[test]
fn development_and_real_sign_in_never_mix() {
    assert_eq!(no("dev:anna"), TokenRefused::DevelopmentOff);
    let development = Verifier::new(Options::Development).unwrap();
    let signed_in = development.verify("dev:anna", NOW_MS).unwrap();
    assert_eq!((signed_in.player.as_str(), signed_in.expires_at_ms), ("anna", None));
    assert_eq!(development.verify(&sign(&claims()), NOW_MS), Err(TokenRefused::DevelopmentOnly));
    assert_eq!(development.verify("anna", NOW_MS), Err(TokenRefused::DevelopmentOnly));
    assert!(matches!(development.verify("dev:", NOW_MS), Err(TokenRefused::Player { .. })));
    assert!(matches!(development.verify("dev:a b", NOW_MS), Err(TokenRefused::Player { .. })));
}

#[test]
fn development_sign_in_listens_on_loopback_only() {
    for address in ["127.0.0.1:7777", "127.9.9.9:0", "[::1]:7777", "[::ffff:127.0.0.1]:1"] {
        assert!(development_allowed(address.parse().unwrap()).is_ok(), "{address}");
    }
    for address in ["0.0.0.0:7777", "[::]:7777", "192.0.2.1:7777"] {
        let reason = development_allowed(address.parse().unwrap()).unwrap_err();
        assert!(reason.contains("without proof") && reason.contains("auth.mode"), "{reason}");
    }
}

#[test]
fn a_key_that_cannot_work_stops_the_start() {
    for (algorithm, file, why) in [
        (Algorithm::EdDsa, "gone.pem", "cannot be read"),
        (Algorithm::EdDsa, "hs256.secret", "not PEM"),
        (Algorithm::EdDsa, "ed25519.private.pem", "private key"),
        (Algorithm::EdDsa, "rs256.public.pem", "no public key for EdDSA"),
        (Algorithm::Es256, "ed25519.public.pem", "no public key for ES256"),
        (Algorithm::Es256, "es384.public.pem", "cannot use"),
        (Algorithm::Rs256, "es256.public.pem", "no public key for RS256"),
        (Algorithm::Rs256, "rsa1024.public.pem", "too short"),
        (Algorithm::Hs256, "ed25519.public.pem", "PEM"),
    ] {
        let error = Verifier::new(Options::Jwt(jwt(algorithm, file))).expect_err(file);
        assert!(error.contains(why) && error.contains(file), "{algorithm:?} {file}: {error}");
    }
    let short = std::env::temp_dir().join(format!("holdall-short-secret-{}", std::process::id()));
    std::fs::write(&short, "0123456789012345678901234567890\n").unwrap();
    let options = Jwt { key_file: short.clone(), ..jwt(Algorithm::Hs256, "") };
    assert!(Verifier::new(Options::Jwt(options)).unwrap_err().contains("31 bytes"));
    std::fs::remove_file(short).unwrap();
}

#[test]
fn settings_that_weaken_sign_in_stop_the_start() {
    let ed = jwt(Algorithm::EdDsa, "ed25519.public.pem");
    for (options, name) in [
        (Jwt { audience: String::new(), ..ed.clone() }, "auth.audience"),
        (Jwt { player_claim: String::new(), ..ed.clone() }, "auth.player_claim"),
        (Jwt { leeway_seconds: 11, ..ed }, "auth.leeway_seconds"),
    ] {
        assert!(Verifier::new(Options::Jwt(options)).unwrap_err().contains(name), "{name}");
    }
}
