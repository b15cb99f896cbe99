//! What local steps of a driven saga hold, and what those of an isolated one prepare.

use crate::drive::Thank;
use minos::{
    prelude::*,
    testing::{SagaTest, TestService},
};

#[aggregate]
pub struct Cart {
    pub items: u32,
}

#[message("Charge", reply = u32)]
pub struct Charge {
    pub items: u32,
}

saga! {
    /// Nobody else changes the cart before it is paid for.
    pub BuyCart { cart: Uuid }

    local take -> items: u32 {
        on_execute: async |cx, saga| {
            let mut cart = Cart::get(cx, saga.cart).await?;
            cart.hold(cx)?;
            Ok(cart.items)
        },
        on_failure: async |_cx, _saga| Ok(()),
    }

    pivot remote charge -> receipt: u32 {
        on_execute: |saga| Charge { items: saga.items },
    }

    retriable local empty {
        on_execute: async |cx, saga| {
            let mut cart = Cart::get(cx, saga.cart).await?;
            cart.items = 0;
            cart.save(cx).await
        },
    }
}

saga! {
    /// Of which nobody sees half.
    #[isolated]
    pub MoveItems { from: Uuid, to: Uuid, new: Uuid }

    local take {
        on_execute: async |cx, saga| {
            let mut cart = Cart::get(cx, saga.from).await?;
            cart.items -= 1;
            cart.save(cx).await?;
            cx.send(Thank { order: saga.from })
        },
    }

    remote charge -> receipt: u32 {
        on_execute: |_saga| Charge { items: 1 },
    }

    local give -> left: u32 {
        on_execute: async |cx, saga| {
            let mut cart = Cart::get(cx, saga.to).await?;
            cart.items += 1;
            cart.save(cx).await?;
            Cart::create_as(cx, saga.new, Cart { items: 9 }).await?;
            // It sees what the first step has prepared.
            Ok(Cart::get(cx, saga.from).await?.items)
        },
    }
}

fn cart(service: &TestService, items: u32) -> Uuid {
    service.run(async |cx| Ok(Cart::create(cx, Cart { items }).await?.uuid())).unwrap()
}

/// How many items are in it, and which step holds it.
fn look(service: &TestService, cart: Uuid) -> (u32, Option<String>) {
    let looked = service.run(async |cx| {
        let cart = Cart::get(cx, cart).await?;
        Ok((cart.items, cart.held_by().map(|by| by.step.clone())))
    });
    looked.unwrap()
}

fn fill(service: &TestService, cart: Uuid) -> Result<()> {
    service.run(async |cx| {
        let mut cart = Cart::get(cx, cart).await?;
        cart.items += 5;
        cart.save(cx).await
    })
}

fn held(step: &str) -> Option<String> {
    Some(step.to_owned())
}

#[test]
fn what_a_step_holds_is_free_at_the_end() {
    let service = TestService::new();
    let cart = cart(&service, 3);
    let mut saga = service.start(BuyCart { cart });
    saga.run();
    assert_eq!(look(&service, cart), (3, held("take")));
    let refused = fill(&service, cart).unwrap_err();
    assert!(matches!(refused.downcast_ref(), Some(HoldError::Held { by, .. }) if by.saga == "BuyCart"), "{refused}");
    // Another saga does not get it, either.
    let mut other = service.start(BuyCart { cart });
    other.run();
    assert!(other.rolled_back().to_string().contains("is held by the saga `BuyCart`"));
    saga.answer(7);
    saga.run();
    saga.committed();
    assert_eq!(look(&service, cart), (0, None));
    fill(&service, cart).unwrap();
}

#[test]
fn what_a_step_holds_is_free_when_it_is_undone_and_not_before() {
    let service = TestService::new();
    let cart = cart(&service, 3);
    let mut saga = service.start(BuyCart { cart });
    saga.run();
    saga.refuse("no money");
    assert_eq!((saga.undone(), look(&service, cart)), (vec!["take"], (3, held("take"))), "it is being undone");
    saga.run();
    saga.rolled_back();
    assert_eq!(look(&service, cart), (3, None));
}

#[test]
fn what_is_isolated_is_seen_when_all_is_done() {
    let service = TestService::new();
    let (from, to, new) = (cart(&service, 3), cart(&service, 3), Uuid::now_v7());
    let mut saga = service.start(MoveItems { from, to, new });
    saga.run();
    saga.answer(7);
    saga.crash();
    assert_eq!((look(&service, from), look(&service, to)), ((3, held("take")), (3, None)), "nothing is seen, and nobody gets in between");
    assert!(service.sent::<Thank>().is_empty());
    fill(&service, from).unwrap_err();
    saga.run();
    assert!(saga.execution().decided, "what the other service has prepared is still to be applied");
    assert_eq!((look(&service, from), look(&service, to), look(&service, new)), ((2, None), (4, None), (9, None)));
    assert_eq!(service.sent::<Thank>(), [Thank { order: from }]);
    saga.answer(());
    assert_eq!(saga.committed().left, 2);
    fill(&service, from).unwrap();
}

#[test]
fn what_is_isolated_never_was_if_the_saga_fails() {
    let service = TestService::new();
    let (from, to, new) = (cart(&service, 3), cart(&service, 3), Uuid::now_v7());
    let mut saga = service.start(MoveItems { from, to, new });
    saga.run();
    saga.refuse("no money");
    assert_eq!(saga.rolled_back().to_string(), "no money");
    assert_eq!((look(&service, from), look(&service, to)), ((3, None), (3, None)));
    assert!(service.sent::<Thank>().is_empty() && service.run(async |cx| Cart::get(cx, new).await.map(|_| ())).is_err());
    fill(&service, from).unwrap();
}

#[test]
fn a_step_that_fails_has_prepared_nothing() {
    let mut saga = SagaTest::start(MoveItems { from: Uuid::now_v7(), to: Uuid::now_v7(), new: Uuid::now_v7() });
    saga.run();
    assert!(saga.rolled_back().to_string().contains("there is no Cart"), "a step that fails has prepared nothing");
}
