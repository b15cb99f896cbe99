//! What an operator sees and does.

use crate::{
    browser::Browser,
    common::get,
    guard,
    shop::{HOSTILE, Mended, in_trouble, place},
};

/// Nothing of what came from outside has become a part of the page.
async fn assert_harmless(browser: &Browser) {
    let parts = "return [window.hacked === undefined, document.querySelectorAll('main script').length, document.querySelectorAll('main img[src=x]').length]";
    assert_eq!(browser.run(parts).await, serde_json::json!([true, 0, 0]));
    assert!(browser.text().await.contains(HOSTILE), "it is shown as what it is: {}", browser.text().await);
}

/// Nothing is broader than the window, which would scroll all of the page.
async fn assert_fits(browser: &Browser) {
    let width = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.run(width).await, true, "{}", browser.text().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_looks_and_repairs() {
    let Some(browser) = Browser::start("the operator looks and repairs").await else { return };
    let mended = Mended::default();
    let (shop, order, execution) = in_trouble(&mended).await;
    let admin = shop.admin_addr().unwrap();
    browser.open(&format!("http://{admin}/console")).await;

    for text in ["shop", "ready", "/orders/{uuid}", "PlaceOrder", "OrderUpdated.shipped", "0 3 * * *", "charge → ship", "relay"] {
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
    browser.picture("overview").await;

    browser.click("nav a[href='#/events']").await;
    browser.shows("OrderCreated").await;
    assert_harmless(&browser).await;
    place(&shop, "a late cup of cocoa").await;
    browser.shows("a late cup of cocoa").await;
    assert_fits(&browser).await;
    browser.picture("events").await;
    browser.click("#pause").await;
    browser.write("#only", "Nobody\n").await;
    browser.shows("Nothing has happened yet.").await;

    browser.turn_to(&format!("#/stream/Order/{order}")).await;
    browser.shows("Its history, up to version 2").await;
    browser.shows("OrderUpdated").await;
    assert_harmless(&browser).await;
    browser.picture("history").await;

    browser.click("nav a[href='#/sagas']").await;
    browser.shows("needs operator").await;
    browser.picture("sagas").await;
    browser.click(&format!("main a[href='#/saga/{execution}']")).await;
    browser.shows("stuck: execute").await;
    browser
        .until(
            "the diagram is drawn",
            "const image = document.querySelector('.diagram img'); return image !== null && image.naturalWidth > 0",
        )
        .await;
    assert_harmless(&browser).await;
    assert_fits(&browser).await;
    browser.picture("saga").await;
    browser.click("[data-act=retry]").await;
    browser.click("#dialog-go").await;
    browser.shows("“ship” is tried again.").await;
    browser.shows("stuck: execute").await;
    mended.mend();
    browser.click("[data-act=retry]").await;
    browser.click("#dialog-go").await;
    browser.shows("committed").await;
    let sent = get(admin, &format!("/sagas/{execution}")).await.json();
    assert_eq!((&sent["status"], sent["repairs"].as_array().map(Vec::len)), (&"committed".into(), Some(2)), "{sent}");

    browser.click("nav a[href='#/dead-letters']").await;
    browser.shows("the printer has no paper").await;
    assert_harmless(&browser).await;
    browser.picture("dead-letters").await;
    browser.click("main td a").await;
    browser.shows("Dead letter 1").await;
    assert_harmless(&browser).await;
    browser.click("[data-act=replay]").await;
    browser.picture("replay").await;
    browser.click("#dialog-go").await;
    browser.shows("handled.").await;
    assert_eq!(get(admin, "/dead-letters").await.body, "[]");
    browser.click("nav a[href='#/dead-letters']").await;
    browser.shows("Everything was handled.").await;

    browser.click("nav a[href='#/views']").await;
    browser.shows("OrderLine").await;
    browser.click("[data-act=rebuild]").await;
    browser.click("#dialog-go").await;
    browser.shows("The rebuild of “OrderLine” has begun.").await;
    browser.picture("views").await;

    browser.turn_to("#/sagas/no-such-page").await;
    browser.shows("There is no such page.").await;
    browser.turn_to("#/sagas/").await;
    browser.shows("Execution").await;
    browser.turn_to("#/no-such-page").await;
    browser.shows("There is no such page.").await;
    browser.turn_to("#/saga/00000000-0000-0000-0000-000000000000").await;
    browser.shows("00000000-0000-0000-0000-000000000000").await;
    browser.close().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_is_told_so() {
    let Some(browser) = Browser::start("who may only look is told so").await else { return };
    let (shop, ..) = in_trouble(&Mended::default()).await;
    let addr = guard::before(shop.admin_addr().unwrap()).await;
    browser.open(&format!("http://{addr}/console#/dead-letters")).await;
    browser.shows("Who looks at this service has to show a token.").await;
    assert!(!browser.text().await.contains("PlaceOrder"));
    browser.picture("token").await;
    browser.write("#token-input", "wrong").await;
    browser.click("#token-go").await;
    browser.shows("This token is not taken").await;
    browser.write("#token-input", guard::LOOKS).await;
    browser.click("#token-go").await;
    browser.shows("the printer has no paper").await;
    assert_eq!(browser.run("return [localStorage.length, document.cookie, sessionStorage.length]").await, serde_json::json!([0, "", 1]));
    browser.click("[data-act=discard]").await;
    browser.click("#dialog-go").await;
    browser.shows("Your token may look, and change nothing.").await;
    browser
        .until("nothing can be pressed any more", "return [...document.querySelectorAll('[data-act]')].every((button) => button.disabled)")
        .await;
    browser.click("#token").await;
    browser.shows("Who looks at this service has to show a token.").await;
    browser.write("#token-input", guard::OPERATES).await;
    browser.click("#token-go").await;
    browser.click("[data-act=discard]").await;
    browser.click("#dialog-go").await;
    browser.shows("Everything was handled.").await;
    browser.close().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_window_is_enough_and_darkness_too() {
    let flags = ["--window-size=520,900", "--blink-settings=preferredColorScheme=0"];
    let Some(browser) = Browser::with("a narrow window is enough, and darkness, too", &flags).await else { return };
    let (shop, order, execution) = in_trouble(&Mended::default()).await;
    let long = place(&shop, &"long".repeat(300)).await;
    browser.open(&format!("http://{}/console", shop.admin_addr().unwrap())).await;
    browser.shows("charge → ship").await;
    let brightness = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => part < 64)";
    assert_eq!(browser.run(brightness).await, true);
    let pages = [
        ("#/", "PlaceOrder".to_owned()),
        ("#/events", "longlong".to_owned()),
        (&format!("#/stream/Order/{long}"), "longlong".to_owned()),
        (&format!("#/stream/Order/{order}"), "OrderUpdated".to_owned()),
        ("#/sagas", execution.to_string()),
        ("#/dead-letters", "the printer has no paper".to_owned()),
        ("#/views", "OrderLine".to_owned()),
        (&format!("#/saga/{execution}"), "stuck: execute".to_owned()),
    ];
    for (page, text) in pages {
        browser.turn_to(page).await;
        browser.shows(&text).await;
        assert_fits(&browser).await;
    }
    browser
        .until(
            "the diagram is drawn",
            "const image = document.querySelector('.diagram img'); return image !== null && image.naturalWidth > 0",
        )
        .await;
    browser.picture("dark").await;
    browser.close().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_nobody_else() {
    let (shop, ..) = in_trouble(&Mended::default()).await;
    let admin = shop.admin_addr().unwrap();
    for (path, kind) in [
        ("/console", "text/html"),
        ("/console/elements.js", "text/javascript"),
        ("/console/ask.js", "text/javascript"),
        ("/console/services.js", "text/javascript"),
        ("/console/pages.js", "text/javascript"),
        ("/console/app.js", "text/javascript"),
        ("/console/style.css", "text/css"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let answer = get(admin, path).await;
        assert_eq!(answer.status, 200, "{path}");
        for header in [
            &format!("content-type: {kind}")[..],
            "content-security-policy: default-src 'none'; script-src 'self'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.head.contains(header), "{path} is without `{header}`: {}", answer.head);
        }
        let elsewhere: Vec<_> =
            answer.body.match_indices("://").map(|(at, _)| &answer.body[at.saturating_sub(8)..(at + 20).min(answer.body.len())]).collect();
        assert!(elsewhere.iter().all(|place| place.contains("http://www.w3.org")), "{path} names other places: {elsewhere:?}");
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", "onclick="] {
            assert!(!answer.body.contains(word), "{path} has `{word}`");
        }
    }
    assert!(get(admin, "/console").await.body.contains("data-place=\"service\""));
    assert_eq!(get(admin, "/console/nothing.js").await.status, 404);
    assert_eq!(get(shop.addr(), "/console").await.status, 404, "it is not where the public is");
    shop.stop().await;
}
