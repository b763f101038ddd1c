use reqwest::{StatusCode, header};

use crate::guarded::Guarded;
use crate::server::Server;

#[tokio::test]
async fn the_documentation_is_served_from_the_program_and_loads_nothing_from_outside() {
    let server = Server::start();
    let page = reqwest::get(format!("{}/docs/", server.url)).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(
        page.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned();
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("http"), "{policy}");
    assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let text = page.text().await.unwrap();
    assert!(!text.contains("//"), "{text}");
    let sources = text.split("src=\"").chain(text.split("href=\"")).skip(1);
    let files: Vec<&str> = sources
        .filter_map(|rest| rest.split('"').next())
        .filter(|file| file.contains('.'))
        .collect();
    assert!(
        files.iter().any(|file| file.ends_with("swagger-ui-bundle.js")),
        "{text}"
    );
    for file in files.iter().filter(|file| !file.contains('<')) {
        let path = format!("{}/docs/{}", server.url, file.trim_start_matches("./"));
        assert_eq!(reqwest::get(&path).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let (_, script) = server.get("/docs/swagger-initializer.js").await;
    let script = script.as_str().unwrap();
    assert!(
        script.contains("../openapi.json") && !script.contains("http"),
        "{script}"
    );
    let (status, problem) = server.get("/docs/../Cargo.toml").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem:#}");
    let (status, problem) = server.get("/docs/nothing.js").await;
    assert_eq!((status, &problem["status"]), (StatusCode::NOT_FOUND, &404.into()));
}

#[tokio::test]
async fn behind_a_proxy_with_a_prefix_the_documentation_stays_below_it() {
    let guarded = Guarded::start(&["--trusted-proxy", "127.0.0.1"]);
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let get = async |path: &str| {
        let request = client.get(format!("{}{path}", guarded.server.url));
        let forwarded = request
            .header("x-forwarded-prefix", "/energy")
            .header("x-forwarded-proto", "https");
        forwarded
            .header("x-forwarded-host", "lab.example")
            .send()
            .await
            .unwrap()
    };
    let moved = get("/docs").await;
    assert_eq!(moved.status(), StatusCode::TEMPORARY_REDIRECT);
    let location = moved.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let seen_by_the_client = reqwest::Url::parse("https://lab.example/energy/docs").unwrap();
    let followed = seen_by_the_client.join(&location).unwrap();
    assert_eq!(followed.as_str(), "https://lab.example/energy/docs/");
    assert_eq!(
        followed.join("../openapi.json").unwrap().as_str(),
        "https://lab.example/energy/openapi.json"
    );
    // Without a key, as the description itself is.
    assert_eq!(get("/docs/").await.status(), StatusCode::OK);
    let description: serde_json::Value = get("/openapi.json").await.json().await.unwrap();
    assert_eq!(description["servers"][0]["url"], "https://lab.example/energy/");
}
