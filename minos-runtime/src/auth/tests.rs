//! Tokens, good and bad, and what becomes of them.

#[path = "../../../tests/common/tokens.rs"]
mod tokens;

use super::{AuthError, Verifier, key::Key, token::Token};
use crate::{clock, config::AuthConfig};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as URL};
use serde_json::{Value, json};
use std::{fs, io::Write, time::Duration};
use tokens::{SECRET, Signed, claims, header, jwks, key, token};

const ISSUER: &str = "https://issuer.example";

fn with_secret() -> AuthConfig {
    AuthConfig { secret: SECRET.into(), issuer: ISSUER.to_owned(), audience: vec!["shop".to_owned()], ..AuthConfig::default() }
}

fn with_public_key(name: &str) -> AuthConfig {
    AuthConfig { public_key: key(name).display().to_string(), ..AuthConfig::default() }
}

async fn verifier(config: AuthConfig) -> Verifier {
    Verifier::open(&config, clock::system()).await.unwrap()
}

async fn refused(config: AuthConfig) -> String {
    Verifier::open(&config, clock::system()).await.unwrap_err().to_string()
}

fn ours(other: Value) -> Value {
    let mut all = json!({ "iss": ISSUER, "aud": "shop" });
    all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    claims(all)
}

/// What becomes of a token with good claims but these.
async fn with_claims(verifier: &Verifier, other: Value) -> Result<super::User, AuthError> {
    verifier.verify(&token(&header("HS256"), &ours(other), Signed::Secret(SECRET.as_bytes()))).await
}

/// The examples of RFC 7515, A.1 to A.3: whatever is wrong here is wrong in the same way nowhere else.
#[test]
fn the_examples_of_the_standard_are_verified() {
    const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let bytes = |text: &str| URL.decode(text).unwrap();
    let secret = Key::secret(&bytes("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"));
    let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let rsa = Key::rsa(&bytes(modulus), &[1, 0, 1]).unwrap();
    let (x, y) = (bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
    let p256 = Key::p256(&[&[4][..], &x, &y].concat()).unwrap();
    let tokens = [
        ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", &secret),
        (
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            &rsa,
        ),
        ("eyJhbGciOiJFUzI1NiJ9", "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", &p256),
    ];
    for (header, signature, right) in tokens {
        let good = format!("{header}.{CLAIMS}.{signature}");
        let other = format!("{header}.{}.{signature}", CLAIMS.replace("b2Ui", "b2Uj"));
        for key in [&secret, &rsa, &p256] {
            let expected = if std::ptr::eq(key, right) { Ok(()) } else { Err(AuthError::Algorithm) };
            assert_eq!(key.verify(&Token::parse(&good).unwrap()), expected, "{key:?}");
        }
        assert_eq!(right.verify(&Token::parse(&other).unwrap()), Err(AuthError::Signature), "{right:?}");
    }
}

#[tokio::test]
async fn a_good_token_says_who_it_is() {
    let config = AuthConfig { roles: "realm_access.roles".to_owned(), carry: vec!["tenant".to_owned()], ..with_secret() };
    let verifier = verifier(config).await;
    let user =
        with_claims(&verifier, json!({ "realm_access": { "roles": ["clerk"] }, "scope": "a b", "tenant": 7, "email": "x" })).await.unwrap();
    assert!(user.has_role("clerk") && user.has_scope("a") && user.has_scope("b") && user.claim::<String>("email").is_some());
    assert_eq!(user.identity().unwrap().text(), r#"{"id":"ada","roles":["clerk"],"scopes":["a","b"],"claims":{"tenant":7}}"#);
    let scp = with_claims(&verifier, json!({ "scp": ["c"], "aud": ["x", "shop"] })).await.unwrap();
    assert!(scp.has_scope("c") && scp.roles().is_empty());
    let forged = with_claims(&verifier, json!({ "sub": r#"{"service":"order"}"# })).await.unwrap();
    assert!(!forged.is_service(), "a token makes no service");
}

#[tokio::test]
async fn claims_that_are_not_to_be_believed_are_told() {
    let verifier = verifier(with_secret()).await;
    let now = jiff::Timestamp::now().as_second();
    let claim = |claim: &str, wrong| AuthError::Claim { claim: claim.to_owned(), wrong };
    for (other, error) in [
        (json!({ "exp": now - 31 }), AuthError::Expired),
        (json!({ "exp": null }), claim("exp", "is missing: it says how long the token is good")),
        (json!({ "exp": "2099-01-01" }), claim("exp", "is no time in seconds")),
        (json!({ "nbf": now + 60 }), AuthError::NotYet),
        (json!({ "nbf": "x" }), claim("nbf", "is no time in seconds")),
        (json!({ "iss": null }), AuthError::Issuer),
        (json!({ "iss": format!("{ISSUER}/") }), AuthError::Issuer),
        (json!({ "iss": [ISSUER] }), AuthError::Issuer),
        (json!({ "aud": null }), AuthError::Audience),
        (json!({ "aud": "Shop" }), AuthError::Audience),
        (json!({ "aud": [] }), AuthError::Audience),
        (json!({ "aud": { "shop": "shop" } }), AuthError::Audience),
        (json!({ "sub": null }), claim("sub", "is missing: it says who the caller is")),
        (json!({ "sub": 1 }), claim("sub", "is no text")),
        (json!({ "sub": "" }), claim("sub", "has to be a text of 1 to 255 bytes")),
        (json!({ "sub": "a\u{0}b" }), claim("sub", "has to be a text of 1 to 255 bytes")),
        (json!({ "sub": "u".repeat(256) }), claim("sub", "has to be a text of 1 to 255 bytes")),
        (json!({ "roles": { "admin": true } }), claim("roles", "is no list of texts")),
        (json!({ "roles": ["a", 1] }), claim("roles", "is no list of texts")),
        (json!({ "scope": 1 }), claim("scope", "is no list of texts")),
    ] {
        assert_eq!(with_claims(&verifier, other.clone()).await, Err(error), "{other}");
    }
    let many: Vec<String> = (0..100).map(|n| format!("a-role-of-many-{n}")).collect();
    assert!(matches!(with_claims(&verifier, json!({ "roles": many })).await, Err(AuthError::TooMuch { limit: 1024, .. })));
    for good in [json!({ "exp": now - 25 }), json!({ "nbf": now + 25 }), json!({ "exp": now as f64 + 1.5 }), json!({ "roles": "admin" })] {
        assert!(with_claims(&verifier, good.clone()).await.is_ok(), "{good}");
    }
    let nowhere = self::verifier(AuthConfig { secret: SECRET.into(), ..AuthConfig::default() }).await;
    let meant = with_claims(&nowhere, json!({})).await;
    assert_eq!(meant, Err(AuthError::Audience), "who does not say who it is is nobody's audience");
    assert!(with_claims(&nowhere, json!({ "aud": null, "iss": null })).await.is_ok());
}

#[tokio::test]
async fn a_token_does_not_choose_how_it_is_verified() {
    let (pem, good) = (fs::read(key("rsa.pub.pem")).unwrap(), claims(json!({})));
    let rsa = verifier(with_public_key("rsa.pub.pem")).await;
    for (header, signed, result) in [
        (header("RS256"), Signed::Rsa("rsa.der"), Ok(())),
        (json!({ "alg": "RS256" }), Signed::Rsa("rsa.der"), Ok(())),
        (json!({ "alg": "RS256", "typ": "application/at+JWT" }), Signed::Rsa("rsa.der"), Ok(())),
        (json!({ "alg": "RS256", "kid": "any", "jku": "https://evil.example", "jwk": {} }), Signed::Rsa("rsa.der"), Ok(())),
        (header("RS256"), Signed::Rsa("other.der"), Err(AuthError::Signature)),
        (header("RS256"), Signed::As(&[]), Err(AuthError::Signature)),
        (header("none"), Signed::As(&[]), Err(AuthError::Algorithm)),
        (header("None"), Signed::Rsa("rsa.der"), Err(AuthError::Algorithm)),
        (header("HS256"), Signed::Secret(&pem), Err(AuthError::Algorithm)),
        (header("HS256"), Signed::Rsa("rsa.der"), Err(AuthError::Algorithm)),
        (header("RS256"), Signed::Secret(&pem), Err(AuthError::Signature)),
        (header("ES256"), Signed::P256("p256.der"), Err(AuthError::Algorithm)),
        (header("rs256"), Signed::Rsa("rsa.der"), Err(AuthError::Algorithm)),
    ] {
        assert_eq!(rsa.verify(&token(&header, &good, signed)).await.map(|_| ()), result, "{header}");
    }
    let p256 = verifier(with_public_key("p256.pub.pem")).await;
    assert!(p256.verify(&token(&header("ES256"), &good, Signed::P256("p256.der"))).await.is_ok());
    assert_eq!(p256.verify(&token(&header("ES256"), &good, Signed::As(&[0; 64]))).await, Err(AuthError::Signature));
    assert_eq!(p256.verify(&token(&header("HS256"), &good, Signed::Secret(SECRET.as_bytes()))).await, Err(AuthError::Algorithm));
    let pkcs1 = verifier(with_public_key("rsa.pkcs1.pem")).await;
    assert!(pkcs1.verify(&token(&header("RS256"), &good, Signed::Rsa("rsa.der"))).await.is_ok());
    let inline = AuthConfig { public_key: String::from_utf8(pem).unwrap(), ..AuthConfig::default() };
    assert!(verifier(inline).await.verify(&token(&header("RS256"), &good, Signed::Rsa("rsa.der"))).await.is_ok());
}

#[tokio::test]
async fn what_is_no_token_is_told() {
    let verifier = verifier(AuthConfig { secret: SECRET.into(), ..AuthConfig::default() }).await;
    let secret = Signed::Secret(SECRET.as_bytes());
    let good = token(&header("HS256"), &claims(json!({})), secret);
    assert!(verifier.verify(&good).await.is_ok());
    let (crit, typ) = (json!({ "alg": "HS256", "crit": ["b64"], "b64": false }), json!({ "alg": "HS256", "typ": "logout+jwt" }));
    let (crit, typ) = (token(&crit, &claims(json!({})), secret), token(&typ, &claims(json!({})), secret));
    let odd = token(&json!({ "alg": "HS256", "kid": 1 }), &claims(json!({})), secret);
    for text in [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        &format!("{good}."),
        &format!(".{good}"),
        &good.replacen("ey", "ey=", 1),
        &format!("{good}="),
        "é.é.é",
        &crit,
        &typ,
        &odd,
    ] {
        assert!(matches!(verifier.verify(text).await, Err(AuthError::Malformed(_))), "{text}");
    }
    let long = token(&header("HS256"), &claims(json!({ "x": "x".repeat(8000) })), secret);
    assert_eq!(verifier.verify(&long).await, Err(AuthError::TooLong(8192)));
    let no_object = format!("{}.{}", URL.encode(header("HS256").to_string()), URL.encode("[1]"));
    let signature = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes()), no_object.as_bytes());
    let no_object = format!("{no_object}.{}", URL.encode(signature));
    assert_eq!(verifier.verify(&no_object).await, Err(AuthError::Malformed("its claims cannot be read")));
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_told_at_the_start() {
    for (name, why) in [
        ("p384.pub.pem", "another curve than P-256"),
        ("short.pub.pem", "2048 bits at least"),
        ("ed25519.pub.pem", "neither RSA nor of P-256"),
        ("none.pem", "cannot be read: "),
        ("README.md", "holds no `-----BEGIN PUBLIC KEY-----`"),
    ] {
        let told = refused(with_public_key(name)).await;
        assert!(told.contains(why) && told.contains(name), "{told}");
    }
    let wrapped =
        |label: &str| AuthConfig { public_key: format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n"), ..AuthConfig::default() };
    assert!(refused(wrapped("PRIVATE KEY")).await.contains("a private key, which belongs to who signs tokens"));
    assert!(refused(wrapped("CERTIFICATE")).await.contains("openssl x509 -pubkey"));
    assert!(refused(wrapped("PUBLIC KEY")).await.contains("cannot be read"));
    let jwks = |place: &str| AuthConfig { jwks: place.to_owned(), ..AuthConfig::default() };
    assert!(refused(jwks("/no/such.json")).await.contains("`auth.jwks` is `/no/such.json`"));
    assert!(refused(jwks(&key("README.md").display().to_string())).await.contains("no set of keys"));
    assert!(refused(jwks("ftp://x/keys")).await.contains("write `https://…`"));
    assert!(Verifier::open(&AuthConfig::default(), clock::system()).await.is_err());
}

/// A set of keys in a file that changes.
struct Published(tempfile::NamedTempFile);

impl Published {
    fn new(keys: &Value) -> Self {
        let published = Published(tempfile::NamedTempFile::new().unwrap());
        published.change(&keys.to_string());
        published
    }

    fn change(&self, text: &str) {
        let mut file = fs::File::create(self.0.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn config(&self) -> AuthConfig {
        AuthConfig { jwks: self.0.path().display().to_string(), refresh: Duration::from_secs(60), ..AuthConfig::default() }
    }
}

fn signed_by(kid: &str, name: &str) -> String {
    token(&json!({ "alg": "RS256", "kid": kid }), &claims(json!({})), Signed::Rsa(name))
}

#[tokio::test(start_paused = true)]
async fn keys_come_and_go() {
    let published = Published::new(&jwks(&[("1", "rsa.der")]));
    let verifier = verifier(published.config()).await;
    let verify = async |kid: &str, name: &str| verifier.verify(&signed_by(kid, name)).await.map(|_| ());
    assert_eq!(verify("1", "rsa.der").await, Ok(()));
    assert_eq!(verify("1", "other.der").await, Err(AuthError::Signature), "the name of a key does not make it that key");

    published.change(&jwks(&[("1", "rsa.der"), ("2", "other.der")]).to_string());
    assert_eq!(verify("2", "other.der").await, Err(AuthError::UnknownKey), "it was read a moment ago");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(verify("2", "other.der").await, Ok(()), "an unknown key is looked for");
    assert_eq!(verify("3", "other.der").await, Err(AuthError::UnknownKey));

    published.change(&jwks(&[("2", "other.der")]).to_string());
    assert_eq!(verify("1", "rsa.der").await, Ok(()), "known until the set is read again");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(verify("1", "rsa.der").await, Err(AuthError::UnknownKey), "whoever has it now is nobody");
    assert_eq!(verify("2", "other.der").await, Ok(()));

    for broken in ["", "{", "[]", "{\"keys\":1}"] {
        published.change(broken);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(verify("2", "other.der").await, Ok(()), "the last good set is kept: {broken}");
    }
    published.change(r#"{"keys":[]}"#);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(verify("2", "other.der").await, Err(AuthError::UnknownKey), "all were taken back");
}

#[tokio::test]
async fn only_keys_that_are_meant_for_it_verify() {
    let one = &jwks(&[("1", "rsa.der")])["keys"][0];
    let changed = |key: &str, value: Value| {
        let mut changed = one.clone();
        changed[key] = value;
        changed
    };
    let secret = json!({ "kty": "oct", "kid": "1", "k": URL.encode(SECRET) });
    let other = changed("kid", json!("9"));
    for unusable in [
        changed("use", json!("enc")),
        changed("alg", json!("RS512")),
        changed("key_ops", json!(["encrypt"])),
        changed("kty", json!("EC")),
        secret,
        json!(1),
    ] {
        let verifier = verifier(Published::new(&json!({ "keys": [unusable.clone(), other.clone()] })).config()).await;
        assert_eq!(verifier.verify(&signed_by("1", "rsa.der")).await, Err(AuthError::UnknownKey), "{unusable}");
        let by_secret = token(&json!({ "alg": "HS256", "kid": "1" }), &claims(json!({})), Signed::Secret(SECRET.as_bytes()));
        assert_eq!(verifier.verify(&by_secret).await, Err(AuthError::UnknownKey), "{unusable}");
    }
    let nameless = token(&header("RS256"), &claims(json!({})), Signed::Rsa("rsa.der"));
    let alone = verifier(Published::new(&json!({ "keys": [one] })).config()).await;
    assert!(alone.verify(&nameless).await.is_ok(), "there is only one that can be meant");
    let two = verifier(Published::new(&jwks(&[("1", "rsa.der"), ("2", "other.der")])).config()).await;
    assert_eq!(two.verify(&nameless).await, Err(AuthError::UnknownKey));
}

#[tokio::test]
async fn keys_of_one_name_are_all_tried() {
    let point = fs::read(key("p256.pub.pem")).unwrap();
    let point = String::from_utf8(point).unwrap().lines().filter(|line| !line.starts_with('-')).collect::<String>();
    // The point is what a `SubjectPublicKeyInfo` of P-256 ends with.
    let bytes = base64::prelude::BASE64_STANDARD.decode(point).unwrap();
    let (x, y) = bytes[bytes.len() - 64..].split_at(32);
    let p256 = json!({ "kty": "EC", "crv": "P-256", "kid": "1", "x": URL.encode(x), "y": URL.encode(y) });
    let rsa = |name: &str| jwks(&[("1", name)])["keys"][0].clone();
    let by_p256 = token(&json!({ "alg": "ES256", "kid": "1" }), &claims(json!({})), Signed::P256("p256.der"));
    let (by_rsa, by_other) = (signed_by("1", "rsa.der"), signed_by("1", "other.der"));
    for (keys, results) in [
        (vec![p256.clone(), rsa("rsa.der")], [Ok(()), Ok(()), Err(AuthError::Signature)]),
        (vec![rsa("rsa.der"), p256.clone()], [Ok(()), Ok(()), Err(AuthError::Signature)]),
        (vec![rsa("other.der"), rsa("rsa.der")], [Err(AuthError::Algorithm), Ok(()), Ok(())]),
        (vec![p256], [Ok(()), Err(AuthError::Algorithm), Err(AuthError::Algorithm)]),
    ] {
        let verifier = verifier(Published::new(&json!({ "keys": keys.clone() })).config()).await;
        for (token, result) in [&by_p256, &by_rsa, &by_other].into_iter().zip(results) {
            assert_eq!(verifier.verify(token).await.map(|_| ()), result, "{keys:?}");
        }
    }
}

mod by_http {
    use super::*;
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// A server that answers each question with this text, and how often it was asked.
    async fn server(answer: Arc<Mutex<String>>) -> (String, Arc<AtomicUsize>) {
        let (listener, asked) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(AtomicUsize::new(0)));
        let (url, count) = (format!("http://{}/keys", listener.local_addr().unwrap()), asked.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (url, asked)
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_server_is_asked_and_not_flooded() {
        let answer = Arc::new(Mutex::new(ok(&jwks(&[("1", "rsa.der")]).to_string())));
        let (url, asked) = server(answer.clone()).await;
        let config = AuthConfig { jwks: url, refresh: Duration::from_millis(100), ..AuthConfig::default() };
        let verifier = verifier(config).await;
        assert!(verifier.verify(&signed_by("1", "rsa.der")).await.is_ok());
        *answer.lock().unwrap() = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(asked.load(Ordering::SeqCst) > 2 && verifier.verify(&signed_by("1", "rsa.der")).await.is_ok(), "the last good set is kept");
        *answer.lock().unwrap() = ok(&jwks(&[("2", "other.der")]).to_string());
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(verifier.verify(&signed_by("1", "rsa.der")).await, Err(AuthError::UnknownKey));
        assert!(verifier.verify(&signed_by("2", "other.der")).await.is_ok());
    }

    #[tokio::test]
    async fn unknown_keys_are_no_way_to_flood_a_server() {
        let (url, asked) = server(Arc::new(Mutex::new(ok(&jwks(&[("1", "rsa.der")]).to_string())))).await;
        let verifier = verifier(AuthConfig { jwks: url, ..AuthConfig::default() }).await;
        for kid in ["2", "3", "4", "5"] {
            assert_eq!(verifier.verify(&signed_by(kid, "rsa.der")).await, Err(AuthError::UnknownKey));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn who_is_down_at_the_start_is_no_reason_not_to_start() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?password=x", listener.local_addr().unwrap());
        drop(listener);
        let verifier = verifier(AuthConfig { jwks: url, ..AuthConfig::default() }).await;
        let error = verifier.verify(&signed_by("1", "rsa.der")).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert!(!verifier.describe().contains("password"), "{}", verifier.describe());
    }

    #[tokio::test]
    async fn who_sends_elsewhere_or_too_much_is_not_believed() {
        let (elsewhere, _) = server(Arc::new(Mutex::new(ok(&jwks(&[("1", "rsa.der")]).to_string())))).await;
        let moved = format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let huge = ok(&format!("{}{}", jwks(&[("1", "rsa.der")]), " ".repeat(1024 * 1024)));
        for answer in [moved, huge] {
            let (url, _) = server(Arc::new(Mutex::new(answer))).await;
            let verifier = verifier(AuthConfig { jwks: url, ..AuthConfig::default() }).await;
            assert!(verifier.verify(&signed_by("1", "rsa.der")).await.unwrap_err().is_unavailable());
        }
    }
}
