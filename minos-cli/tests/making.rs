//! Projects and services that are made: by the program itself, in empty directories, and built as a user would build them.

mod common;

use common::Place;
use std::fs;

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let place = Place::new();
    for (name, told) in [
        ("Shop", "write `shop`"),
        ("fn", "a word of Rust"),
        ("test", "a crate that services use"),
        ("std", "a crate that services use"),
        ("../shop", "write `shop`"),
    ] {
        assert!(place.refused(&["new", "project", name]).contains(told), "{name}");
    }
    let none = place.refused(&["new", "service", "order"]);
    assert!(none.contains("is in no project of Minos: `minos new project <name>` makes one"), "{none}");
    fs::create_dir(place.path().join("shop")).unwrap();
    fs::write(place.path().join("shop/file"), "mine").unwrap();
    let full = place.refused(&["new", "project", "shop"]);
    assert!(full.contains("shop is there already, and is not empty"), "{full}");
    let wrong = place.refused(&["new", "project", "other", "--minos-path", "/nowhere"]);
    assert!(wrong.contains("`--minos-path` is /nowhere, which cannot be read"), "{wrong}");
    let wrong = place.refused(&["new", "project", "other", "--minos-path", "."]);
    assert!(wrong.contains("where the package `minos` is not"), "{wrong}");
    assert_eq!(place.names(), ["shop"], "nothing was written");
    assert_eq!(fs::read_to_string(place.path().join("shop/file")).unwrap(), "mine");
}

#[test]
fn a_command_line_that_makes_no_sense_has_a_status_of_its_own() {
    let place = Place::new();
    for (arguments, status, told) in [
        (&["discovery", "--token", "x"][..], 2, "error: `--token` means nothing to `minos discovery`: "),
        (&["dev", "--json"], 2, "error: `--json` means nothing to `minos dev`: "),
        (&["new", "project", "fn"], 2, "`fn` is a word of Rust"),
        (&["dev", "--nothing"], 2, "unexpected argument '--nothing' found"),
        (&["new", "service", "order"], 1, "is in no project of Minos"),
    ] {
        let output = place.minos(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
        assert!(text.contains(told), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty() && place.names().is_empty(), "{arguments:?} does nothing");
    }
    let output = place.minos(&["doctor"]).env("MINOS_TOKEN", "x").env("MINOS_ADMIN", "127.0.0.1:1").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("is in no project of Minos"), "the environment is that of all commands");
}

#[test]
fn services_find_their_project() {
    let place = Place::new();
    place.told(&["new", "project", "shop", "--minos-path", common::MINOS]);
    let inner = place.at("shop");
    let refused = inner.refused(&["new", "project", "inner"]);
    assert!(refused.contains("is a project already, and none is in another: `minos new service inner`"), "{refused}");
    place.told(&["new", "service", "order"]);
    assert!(place.refused(&["new", "service", "order"]).contains("there is a service `order` already"));
    inner.told(&["new", "service", "stock-room"]);
    let config = fs::read_to_string(inner.path().join("services/stock-room/minos.toml")).unwrap();
    assert!(config.contains("127.0.0.1:8082") && config.contains("127.0.0.1:9091"), "ports of its own: {config}");
    let named = inner.refused(&["new", "service", "orders", "--aggregate", "Order"]);
    assert!(named.contains("`Order` is there already, in the service order, in src/order.rs"), "{named}");
    place.told(&["new", "project", "bank", "--minos-path", common::MINOS]);
    let which = place.refused(&["new", "service", "account"]);
    assert!(which.contains("there is more than one project here: go into one of"), "{which}");
    assert_eq!(inner.at("services").names(), ["README.md", "order", "stock-room"]);
}

#[test]
fn what_is_added_is_added_once_and_leaves_the_rest_as_it_is() {
    let place = Place::new();
    place.told(&["new", "project", "shop", "--minos-path", common::MINOS]);
    place.told(&["new", "service", "order"]);
    let service = place.at("shop/services/order");
    let lib = service.path().join("src/lib.rs");
    let odd = fs::read_to_string(&lib).unwrap() + "\n fn   odd( ) { }\n";
    fs::write(&lib, &odd).unwrap();
    let added = service.told(&["add", "command", "PlaceOrder"]);
    assert_eq!(added, "added the command PlaceOrder to the service order, in services/order/src/place_order.rs\n");
    assert_eq!(fs::read_to_string(&lib).unwrap(), odd.replace("mod order;\n", "mod order;\nmod place_order;\n"));
    for (kind, name, told) in [
        ("command", "PlaceOrder", "`PlaceOrder` is there already, in the service order, in src/place_order.rs"),
        ("query", "GetOrder", "`GetOrder` is there already"),
        ("aggregate", "Order", "`Order` is there already"),
        ("command", "place", "no name of a type"),
        ("event", "MoneyDeposited", "does not say whose event it is"),
        ("event", "Order.", "no name of an event"),
    ] {
        let refused = service.refused(&["add", kind, name]);
        assert!(refused.contains(told), "{kind} {name}: {refused}");
    }
    service.told(&["add", "event", "OrderCreated"]);
    assert!(service.refused(&["add", "event", "OrderCreated"]).contains("has a module `on_order_created` already"));
    place.told(&["new", "service", "stock", "--aggregate", "Article"]);
    assert!(place.refused(&["add", "command", "CountArticles"]).contains("say which service: `--service` with one of order, stock"));
    place.told(&["add", "command", "CountArticles", "--service", "stock"]);
    let note = place.noted(&["add", "event", "OrderCreated", "--service", "stock"]);
    assert!(note.contains("`Order` is of the service order: `minos dev` runs both in one process"), "{note}");
    assert_eq!(place.noted(&["add", "event", "ArticleCreated", "--service", "stock"]).matches("is of the service").count(), 0, "its own");
    let note = place.noted(&["add", "event", "InvoiceDeleted", "--service", "stock"]);
    assert!(note.contains("no service of the project has an aggregate `Invoice`"), "{note}");
    // What is known there of others is not theirs.
    let texts = ["on_order_created", "on_invoice_deleted"]
        .map(|module| fs::read_to_string(place.path().join(format!("shop/services/stock/src/{module}.rs"))).unwrap());
    assert!(texts.iter().all(|text| text.matches("#[aggregate_ref]").count() == 1), "{texts:?}");
    place.told(&["add", "event", "OrderDeleted", "--service", "stock"]);
    let again = fs::read_to_string(place.path().join("shop/services/stock/src/on_order_deleted.rs")).unwrap();
    assert!(!again.contains("#[aggregate_ref]"), "it is said once: {again}");
    assert!(
        place
            .refused(&["add", "command", "CountArticles", "--service", "nobody"])
            .contains("there is no service `nobody`: there are order, stock")
    );
    // What is said there of an aggregate of another service does not keep that service from having it.
    place.told(&["new", "service", "invoice"]);
}

/// The promise to whoever begins: all of it compiles, passes its tests, and neither `clippy` nor `rustfmt` has anything to say.
#[test]
fn what_is_made_is_whole_at_once() {
    let place = Place::new();
    place.told(&["new", "project", "shop", "--minos-path", common::MINOS]);
    place.told(&["new", "service", "order"]);
    let project = place.at("shop");
    project.lock();
    project.cargo(&["fmt", "--check"]);
    // Long names are broken into lines differently.
    project.told(&["new", "service", "user", "--aggregate", "RegisteredCustomerAccount"]);
    for (kind, name) in [
        ("aggregate", "Category"),
        ("command", "PlaceOrderWithoutAnyDelay"),
        ("query", "Totals"),
        ("event", "OrderCreated"),
        ("event", "OrderUpdated.name"),
        ("saga", "MoveEverything"),
    ] {
        project.told(&["add", kind, name, "--service", "order"]);
    }
    // Of another service, and of none that is here.
    for name in
        ["OrderCreated", "OrderUpdated.name", "OrderUpdated.lines.create", "OrderDeleted", "Account.AVeryLargeAmountOfMoneyWasDeposited"]
    {
        project.told(&["add", "event", name, "--service", "user"]);
    }
    project.cargo(&["fmt", "--check"]);
    project.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    project.cargo(&["test", "--workspace"]);
    // Each service starts by itself, and says what it does not hear then.
    project.cargo(&["build", "--package", "user"]);
    let told = project.starts("user").join("\n");
    for event in ["OrderCreated", "OrderUpdated.name", "OrderUpdated.lines.create", "OrderDeleted", "AVeryLargeAmountOfMoneyWasDeposited"] {
        assert!(told.contains(&format!("gets no `{event}` here: ")), "{told}");
    }
}
