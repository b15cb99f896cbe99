//! A guest book that is closed: what each caller may do is said at its handlers, and who they are by their tokens.
//!
//! ```sh
//! export MINOS_AUTH_SECRET="$(openssl rand -hex 32)"
//! cargo run --example closed --features auth
//! ```
//!
//! Whoever has the secret makes tokens. In another terminal, with the same secret:
//!
//! ```sh
//! part() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
//! claims='{"iss":"https://id.example.org","aud":"closed","sub":"ann","roles":["host"],"scope":"book:read","exp":'$(($(date +%s) + 3600))'}'
//! signed="$(printf '{"alg":"HS256","typ":"JWT"}' | part).$(printf %s "$claims" | part)"
//! token="$signed.$(printf %s "$signed" | openssl dgst -sha256 -hmac "$MINOS_AUTH_SECRET" -binary | part)"
//!
//! curl 127.0.0.1:8080/welcome
//! curl -X POST 127.0.0.1:8080/guests -H "authorization: Bearer $token" -d '{"text":"it was nice"}'
//! curl 127.0.0.1:8080/guests/<uuid> -H "authorization: Bearer $token"
//! curl -X DELETE 127.0.0.1:8080/guests/<uuid> -H "authorization: Bearer $token"
//! ```

#![allow(unreachable_pub)]

use minos::prelude::*;

#[aggregate]
pub struct Guest {
    pub name: String,
    pub text: String,
}

#[derive(Deserialize)]
pub struct Sign {
    text: String,
}

/// Anybody. Who has a good token is known here, too.
#[query(public, GET "/welcome")]
async fn welcome(user: User) -> String {
    format!("welcome, {}", user.id().unwrap_or("stranger"))
}

/// Whoever is known, and with no other name than their own.
#[command(POST "/guests")]
async fn sign(cx: &mut Context, user: User, input: Sign) -> Result<Uuid> {
    let name = user.id().unwrap_or_default().to_owned();
    Ok(Guest::create(cx, Guest { name, text: input.text }).await?.uuid())
}

/// Whose token is for reading.
#[query(scopes("book:read"), GET "/guests/{uuid}")]
async fn read(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Guest>> {
    Guest::get(cx, uuid).await
}

/// Who has one of these roles.
#[command(roles("host", "owner"), DELETE "/guests/{uuid}")]
async fn strike_out(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
    Guest::get(cx, uuid).await?.delete(cx).await
}

#[minos::main]
async fn main() -> Result<()> {
    Service::from_config("examples/closed/closed.toml")?.run().await
}
