//! Customers: what is known of a person, until they are to be forgotten.

use crate::account::Account;
use minos::prelude::*;

/// A customer. What says who it is is encrypted with a key of its own, in all that is stored and sent.
#[aggregate]
#[derive(Debug, Clone)]
pub struct Customer {
    #[validate(not_empty, length(..=100))]
    pub name: Sensitive<String>,
    #[validate(email)]
    pub email: Sensitive<String>,
}

#[derive(Deserialize)]
pub struct Register {
    name: String,
    email: String,
}

#[command("RegisterCustomer", POST "/customers")]
async fn register(cx: &mut Context, input: Register) -> Result<Uuid> {
    let customer = Customer { name: input.name.into(), email: input.email.into() };
    Ok(Customer::create(cx, customer).await?.uuid())
}

/// An answer shows what is exposed, and nothing else. Of who was forgotten it is `null`.
#[query(GET "/customers/{uuid}/name")]
async fn name(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<String>> {
    Ok(Customer::get(cx, uuid).await?.name.expose().cloned())
}

/// For ever: the events stay, and nobody can read in them who it was.
#[command("ForgetCustomer", DELETE "/customers/{uuid}/data")]
async fn forget(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
    let open = Account::find(cx, Account::owner().eq(uuid)).and(Account::cents().ne(0_i64)).count().await?;
    ensure!(open == 0, "accounts of this customer that are not at zero: {open}");
    cx.forget_subject(uuid).await?;
    Ok(())
}
