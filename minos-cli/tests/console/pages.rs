//! What an operator sees and does at a gateway.

use crate::{
    browser::Browser,
    common::{get, until},
    kit::{GATEWAY, Shops, of_role},
    shop::{HOSTILE, Mended, place},
};
use serde_json::json;

async fn assert_fits(browser: &Browser) {
    let width = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.run(width).await, true, "{}", browser.text().await);
}

/// Nothing of what came from outside has become a part of the page.
async fn assert_harmless(browser: &Browser) {
    let parts = "return [window.hacked === undefined, document.querySelectorAll('main script').length, document.querySelectorAll('main img[src=x]').length]";
    assert_eq!(browser.run(parts).await, json!([true, 0, 0]));
    assert!(browser.text().await.contains(HOSTILE), "it is shown as what it is: {}", browser.text().await);
}

async fn show_token(browser: &Browser, token: &str) {
    browser.write("#token-input", token).await;
    browser.click("#token-go").await;
}

async fn choose(browser: &Browser, id: &str, value: &str) {
    browser.find(id).await;
    let chosen = format!(
        "const choice = document.querySelector({}); choice.value = {}; choice.dispatchEvent(new Event('change')); return null",
        json!(id),
        json!(value)
    );
    browser.run(&chosen).await;
}

/// What stands in the line of a service.
async fn line(browser: &Browser, service: &str) -> String {
    let line = format!(
        "return [...document.querySelectorAll('#services tr')].find((row) => row.cells[0].innerText === {})?.innerText ?? ''",
        json!(service)
    );
    browser.run(&line).await.as_str().unwrap_or_default().to_owned()
}

async fn line_shows(browser: &Browser, service: &str, text: &str) {
    let shows = format!(
        "return [...document.querySelectorAll('#services tr')].some((row) => row.cells[0].innerText === {} && row.innerText.includes({}))",
        json!(service),
        json!(text)
    );
    browser.until(&format!("the line of {service} says {text}"), &shows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_looks_at_all_services_and_repairs_one() {
    let Some(browser) = Browser::start("the operator looks at all services and repairs one").await else { return };
    let mended = Mended::default();
    let (shops, stock) = Shops::open(&mended).await;
    let Shops { order, execution, .. } = shops;
    browser.open(&shops.console()).await;
    browser.shows("Who looks at these services has to show a token to the gateway.").await;
    assert!(!browser.text().await.contains("stock"));
    show_token(&browser, "not the token").await;
    browser.shows("This token is not taken").await;
    show_token(&browser, GATEWAY).await;

    line_shows(&browser, "shop", "ready").await;
    let counts = "return [...document.querySelectorAll('#services .count')].map((count) => count.innerText).join() === '1,1'";
    browser.until("both troubles of the shop are counted", counts).await;
    line_shows(&browser, "stock", "wants another token").await;
    line_shows(&browser, "invoices", "no operator's API").await;
    if std::env::var_os("MINOS_SCREENSHOTS").is_none() {
        line_shows(&browser, "odd", "cannot be shown").await;
    }
    browser.shows("set `admin = \"http://host:9090\"` in `[services.invoices]`").await;
    for text in [
        "stock-1",
        "stock-2",
        "/orders/{uuid}",
        "/invoices/{id}",
        "Routes that a service does not get",
        "GET /orders/{order}",
        "the registry at",
    ] {
        browser.shows(text).await;
    }
    assert_eq!(browser.run("return document.title").await, "All services · Minos");
    assert_fits(&browser).await;

    // The stock takes a token of its own, and says itself what may be done with it.
    browser.click("[data-token=stock]").await;
    browser.shows("“stock” wants another token than the gateway").await;
    show_token(&browser, &of_role("minos:read")).await;
    line_shows(&browser, "stock", "ready").await;
    assert!(line(&browser, "stock").await.starts_with("stock"), "it is one line");
    assert_eq!(browser.run("return [localStorage.length, document.cookie, sessionStorage.length]").await, json!([0, "", 2]));
    browser.picture("services").await;

    browser.click("#services a[href='#/services/shop/']").await;
    for text in ["Told by the instance", "charge → ship", "PlaceOrder", "OrderUpdated.shipped", "relay"] {
        browser.shows(text).await;
    }
    browser
        .until(
            "both troubles are counted",
            "return [...document.querySelectorAll('nav .count')].map((count) => count.innerText).join() === '1,1'",
        )
        .await;
    assert_eq!(browser.run("return document.title").await, "shop · Minos");
    assert_fits(&browser).await;
    browser.click("nav a[href='#/services/shop/events']").await;
    browser.shows("OrderCreated").await;
    place(&shops.shop, "a late cup of cocoa").await;
    browser.shows("a late cup of cocoa").await;
    assert_harmless(&browser).await;
    browser.turn_to(&format!("#/services/shop/stream/Order/{order}")).await;
    browser.shows("Its history, up to version 2").await;

    browser.click("nav a[href='#/services/shop/sagas']").await;
    browser.click(&format!("main a[href='#/services/shop/saga/{execution}']")).await;
    browser.shows("stuck: execute").await;
    let drawn = "const image = document.querySelector('.diagram img'); return image !== null && image.naturalWidth > 0";
    browser.until("the diagram is drawn", drawn).await;
    assert_harmless(&browser).await;
    assert_fits(&browser).await;
    browser.picture("services-saga").await;
    mended.mend();
    browser.click("[data-act=retry]").await;
    browser.click("#dialog-go").await;
    browser.shows("committed").await;

    browser.click("nav a[href='#/services/shop/dead-letters']").await;
    browser.click("main td a").await;
    browser.shows("Dead letter 1").await;
    browser.click("[data-act=replay]").await;
    browser.click("#dialog-go").await;
    browser.shows("handled.").await;
    browser.shows("Everything was handled.").await;
    assert_eq!(get(shops.shop.admin_addr().unwrap(), "/dead-letters").await.body, "[]");
    assert_eq!(browser.run("return location.hash").await, "#/services/shop/dead-letters");

    // Another service, at the same page.
    browser.click("nav a[href='#/services/shop/views']").await;
    browser.shows("OrderLine").await;
    choose(&browser, "#which-service", "stock").await;
    browser.shows("Stored").await;
    assert_eq!(browser.run("return location.hash").await, "#/services/stock/views");
    browser.click("[data-act=rebuild]").await;
    browser.click("#dialog-go").await;
    browser.shows("Your token may look, and change nothing.").await;
    let pressed = |none: bool| {
        format!(
            "const all = [...document.querySelectorAll('[data-act=rebuild]')]; return all.length > 0 && all.every((button) => button.disabled === {none})"
        )
    };
    browser.until("nothing of the stock can be pressed", &pressed(true)).await;
    choose(&browser, "#which-service", "shop").await;
    browser.shows("OrderLine").await;
    browser.until("what is of the shop can be pressed", &pressed(false)).await;

    for nowhere in ["no-such-page", "sagas/no-such-page", "dead-letter/1/2", "constructor"] {
        browser.turn_to("#/services/shop/views").await;
        browser.shows("OrderLine").await;
        browser.turn_to(&format!("#/services/shop/{nowhere}")).await;
        browser.shows("There is no such page.").await;
    }
    browser.turn_to("#/services/nobody/").await;
    browser.shows("there is no service `nobody` now").await;
    browser.turn_to("#/services/invoices/").await;
    browser.shows("no instance of `invoices` says where its operator's API is").await;
    browser.close().await;
    stock.into_iter().for_each(|one| one.dies());
    shops.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_is_told_and_another_one_goes_on() {
    let Some(browser) = Browser::start("an instance that dies is told, and another one goes on").await else { return };
    let (shops, [one, other]) = Shops::open(&Mended::default()).await;
    browser.open(&format!("{}#/services/stock/events", shops.console())).await;
    browser.shows("has to show a token to the gateway").await;
    show_token(&browser, GATEWAY).await;
    browser.shows("“stock” wants another token than the gateway").await;
    show_token(&browser, &of_role("nobody")).await;
    browser.shows("“stock” says: ").await;
    browser.click("#another-token").await;
    browser.shows("“stock” does not take this token").await;
    show_token(&browser, &of_role("minos:operate")).await;
    browser.shows("a lamp of stock-").await;
    choose(&browser, "#which-instance", "stock-1").await;
    browser.shows("a lamp of stock-1").await;
    // It ends without a word, while somebody looks at its events.
    one.dies();
    browser.shows("The instance stock-1 of “stock” does not answer any more. This is told by stock-2.").await;
    browser.shows("a lamp of stock-2").await;
    assert!(!browser.text().await.contains("a lamp of stock-1"));
    browser.click("nav a[href='#/services/stock/']").await;
    browser.shows("Told by the instance stock-2.").await;
    other.dies();
    let told = "const text = document.querySelector('#notice').innerText; return text.includes('no instance of `stock` can be reached') || text.includes('there is no service `stock` now')";
    browser.until("nobody answers", told).await;
    choose(&browser, "#which-service", "shop").await;
    browser.shows("PlaceOrder").await;
    browser.until("what was told of the stock is not told of the shop", "return document.querySelector('#notice').hidden").await;
    // And the gateway itself.
    browser.click("nav a[href='#/']").await;
    line_shows(&browser, "shop", "ready").await;
    let (shop, again) = shops.without_gateway().await;
    browser.shows("The gateway does not answer.").await;
    let gateway = again().await;
    browser.until("it is not said any more when it is back", "return document.querySelector('#notice').hidden").await;
    browser.shows("/invoices/{id}").await;
    browser.close().await;
    gateway.stop().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_window_is_enough_and_darkness_too() {
    let flags = ["--window-size=520,1000", "--blink-settings=preferredColorScheme=0"];
    let Some(browser) = Browser::with("a narrow window is enough for all services, and darkness, too", &flags).await else { return };
    let (shops, stock) = Shops::open(&Mended::default()).await;
    browser.open(&shops.console()).await;
    browser.shows("has to show a token").await;
    show_token(&browser, GATEWAY).await;
    line_shows(&browser, "stock", "wants another token").await;
    line_shows(&browser, "shop", "ready").await;
    assert_fits(&browser).await;
    browser.picture("services-dark").await;
    for (page, text) in [
        ("#/services/shop/", "PlaceOrder"),
        ("#/services/shop/events", "OrderCreated"),
        ("#/services/shop/dead-letters", "the printer has no paper"),
    ] {
        browser.turn_to(page).await;
        browser.shows(text).await;
        browser.find("#which-service").await;
        assert_fits(&browser).await;
    }
    browser.close().await;
    stock.into_iter().for_each(|one| one.dies());
    shops.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_what_can_be_asked_says_each_thing_once_and_shows_code_as_code() {
    let Some(browser) = Browser::start("the page of what can be asked says each thing once, and shows code as code").await else { return };
    let (shops, stock) = Shops::open(&Mended::default()).await;
    let gateway = shops.gateway.addr();
    until("the shop has told what it can be asked", async || get(gateway, "/openapi.json").await.body.contains("/orders/{uuid}")).await;
    assert!(get(gateway, "/openapi.json").await.body.contains('`'), "there is code in what is said");
    browser.open(&format!("http://{gateway}/docs")).await;
    browser.shows("/orders/{uuid}").await;
    let text = browser.run("return document.querySelector('#all').textContent").await;
    assert!(!text.as_str().unwrap().contains('`'), "{text}");
    assert_ne!(browser.run("return document.querySelectorAll('#all p code, #all td:last-child code').length").await, 0);
    let once = "const shop = [...document.querySelectorAll('section')].find((one) => one.querySelector('h2').textContent === 'shop'); return shop.querySelector(':scope > p') === null";
    assert_eq!(browser.run(once).await, true, "its name is said once");
    browser.close().await;
    stock.into_iter().for_each(|one| one.dies());
    shops.close().await;
}
