//! What a proxy of `deploy/` must not let pass: names that clients give themselves, addresses they make up, what is too
//! large, and what is not for everybody.

use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::front::{Bare, Front, HOST, PASSWORD, PROMETHEUS, Proxy, USER};
use crate::server::Server;

fn experiment() -> Value {
    json!({"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 4})
}

async fn problem_of(response: reqwest::Response, status: StatusCode, what: &str) -> Value {
    let (found, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{what}: {text}");
    assert_eq!(headers["content-type"], "application/problem+json", "{what}: {text}");
    let problem: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {text}"));
    assert_eq!(problem["status"], status.as_u16(), "{what}: {problem:#}");
    problem
}

/// The status and the body that curl gets, which changes nothing of a path and speaks from any address.
fn curl(front: &Front, from: &str, path: &str, more: &[&str]) -> (u16, String) {
    let port = front.address.port();
    let output = Command::new("curl")
        .args([
            "-sS",
            "--noproxy",
            "*",
            "--path-as-is",
            "--interface",
            from,
            "-w",
            "\n%{http_code}",
        ])
        .arg("--cacert")
        .arg(front.authority())
        .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
        .args(more)
        .arg(format!("{}{path}", front.url))
        .output()
        .expect("curl is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_default();
    let status = status.parse().unwrap_or(0);
    assert_ne!(status, 0, "{}", String::from_utf8_lossy(&output.stderr));
    (status, body.to_owned())
}

#[tokio::test]
async fn nobody_is_who_they_say_they_are() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let ada = front.guarded.key("ada", "submitter");
        let submit = || front.request(Method::POST, "/v1/experiments").json(&experiment());
        let forge = |request: reqwest::RequestBuilder| {
            request
                .header("x-remote-user", "root")
                .header("x-remote-user", "mallory")
                .header("X_Remote_User", "root")
        };
        let response = forge(submit()).send().await.unwrap();
        let challenge = response.headers().get("www-authenticate").cloned();
        problem_of(response, StatusCode::UNAUTHORIZED, "a name and nothing else").await;
        assert!(
            challenge.is_some_and(|text| text.to_str().unwrap().starts_with("Basic ")),
            "{proxy:?}"
        );
        let wrong = submit().basic_auth(USER, Some("wrong")).send().await.unwrap();
        problem_of(wrong, StatusCode::UNAUTHORIZED, "a wrong password").await;
        for (request, submitter) in [
            (submit().basic_auth(USER, Some(PASSWORD)), USER),
            (submit().bearer_auth(&ada), "ada"),
            (submit().header("authorization", format!("bearer {ada}")), "ada"),
        ] {
            let response = forge(request).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::CREATED, "{proxy:?}");
            assert_eq!(
                response.json::<Value>().await.unwrap()["submitter"],
                submitter,
                "{proxy:?}"
            );
        }
        for (what, request) in [
            ("a key that is none", submit().bearer_auth("jm_x")),
            (
                "another scheme",
                submit().header("authorization", format!("Digest {ada}")),
            ),
            (
                "a scheme that begins like one",
                submit().header("authorization", format!("Bearerer {ada}")),
            ),
            ("no key after the scheme", submit().header("authorization", "Bearer ")),
        ] {
            let response = forge(request).send().await.unwrap();
            problem_of(response, StatusCode::UNAUTHORIZED, what).await;
        }
        // Where no password is asked for, one that was not checked names nobody.
        for path in ["/healthz", "/openapi.json", "/docs/x"] {
            let request = front.request(Method::POST, path).basic_auth("root", Some("wrong"));
            let problem = problem_of(forge(request).send().await.unwrap(), StatusCode::UNAUTHORIZED, path).await;
            assert_eq!(
                problem["type"], "urn:problem-type:joulemark:unauthenticated",
                "{proxy:?} {path}: {problem:#}"
            );
        }
        // A password and a key at once: whichever the one of us goes by, the other must not go by the other.
        let both = submit().basic_auth(USER, Some("wrong")).bearer_auth("jm_x");
        let status = forge(both).send().await.unwrap().status();
        assert!(
            [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&status),
            "{proxy:?}: {status}"
        );
    }
}

#[tokio::test]
async fn nobody_is_of_a_group_that_they_say_they_are_of() {
    for proxy in Proxy::installed() {
        let groups = [
            "--identity-groups-header",
            "X-Remote-Groups",
            "--group-role",
            "ops=admin",
        ];
        let front = Front::start(proxy, &groups);
        let ada = front.guarded.key("ada", "submitter");
        for request in [
            front.by_user(Method::GET, "/v1/audit"),
            front.request(Method::GET, "/v1/audit").bearer_auth(&ada),
        ] {
            for name in ["x-remote-groups", "X-Remote-Groups", "X_Remote_Groups"] {
                let forged = request.try_clone().unwrap().header(name, "ops");
                let response = forged.send().await.unwrap();
                problem_of(response, StatusCode::FORBIDDEN, &format!("{proxy:?} {name}")).await;
            }
            let twice = request.header("x-remote-groups", "a").header("x-remote-groups", "ops");
            problem_of(
                twice.send().await.unwrap(),
                StatusCode::FORBIDDEN,
                &format!("{proxy:?} twice"),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn links_and_the_audit_log_go_by_what_the_proxy_sees() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let root = front.guarded.key("root", "admin");
        let forged = front
            .by_user(Method::POST, "/v1/experiments")
            .header("x-forwarded-for", "192.0.2.66")
            .header("x-forwarded-proto", "gopher")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-prefix", "/evil")
            .header("forwarded", "for=192.0.2.66;host=evil.example")
            .header("x-real-ip", "192.0.2.66")
            .json(&experiment());
        let response = forged.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED, "{proxy:?}");
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        assert!(
            location.starts_with(&format!("{}/v1/experiments/", front.url)),
            "{proxy:?}: {location}"
        );
        let log = front
            .request(Method::GET, "/v1/audit?limit=1")
            .bearer_auth(&root)
            .send()
            .await
            .unwrap();
        assert_eq!(
            log.json::<Value>().await.unwrap()["items"][0]["address"],
            "127.0.0.1",
            "{proxy:?}"
        );
    }
}

/// A client chooses the host that it asks for: by the header, by the target, or not at all.
#[tokio::test]
async fn who_asks_for_another_host_is_misdirected_and_no_link_has_its_name() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let ada = front.guarded.key("ada", "submitter");
        let key = format!("Authorization: Bearer {ada}");
        for more in [
            &["-H", "Host: evil.example"][..],
            &["-H", "Host: evil.example", "--http2"],
            &["-H", "Host: 127.0.0.1"],
            &["-H", "Host: gpubox.example.org.evil.example"],
            &[
                "--http1.1",
                "--request-target",
                "https://evil.example/joulemark/v1/experiments",
            ],
            &["--http1.1", "--request-target", "https://evil.example/joulemark"],
            &["--http1.0", "--no-alpn", "-H", "Host:"],
        ] {
            let body = experiment().to_string();
            let all = [
                more,
                &["-i", "-H", &key, "-H", "Content-Type: application/json", "-d", &body],
            ]
            .concat();
            let (status, answer) = curl(&front, "127.0.0.1", "/v1/experiments", &all);
            assert_eq!(status, 421, "{proxy:?} {more:?}: {answer}");
            assert!(
                answer
                    .to_ascii_lowercase()
                    .contains("content-type: application/problem+json"),
                "{answer}"
            );
            assert!(!answer.contains("evil.example"), "{proxy:?} {more:?}: {answer}");
        }
        // The name is the site's, whatever port and spelling a client gives it.
        for host in ["Host: gpubox.example.org:9", "Host: GPUBOX.example.org"] {
            let body = experiment().to_string();
            let json = "Content-Type: application/json";
            let (status, answer) = curl(
                &front,
                "127.0.0.1",
                "/v1/experiments",
                &["-i", "-H", host, "-H", &key, "-H", json, "-d", &body],
            );
            assert_eq!(status, 201, "{proxy:?} {host}: {answer}");
            let links = answer
                .lines()
                .filter(|line| line.to_ascii_lowercase().starts_with("location:"));
            let links: Vec<_> = links.collect();
            assert!(
                links.len() == 1 && links[0].contains(&format!(" {}/v1/experiments/", front.url)),
                "{links:?}"
            );
        }
        // The plain site sends to its own name and to no other.
        let output = Command::new("curl")
            .args([
                "-sS",
                "--noproxy",
                "*",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{redirect_url}",
                "--unix-socket",
            ])
            .arg(front.folder.path().join("plain.sock"))
            .arg("http://evil.example/joulemark/v1/nodes?limit=1")
            .output()
            .expect("curl is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            said,
            format!("308 https://{HOST}/joulemark/v1/nodes?limit=1"),
            "{proxy:?}"
        );
    }
}

#[tokio::test]
async fn links_begin_with_the_public_url_where_the_admin_gives_one() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &["--public-url", "https://energy.example/jm/"]);
        let request = front.by_user(Method::POST, "/v1/experiments").json(&experiment());
        let response = request.send().await.unwrap();
        let location = response.headers()["location"].to_str().unwrap();
        assert!(
            location.starts_with("https://energy.example/jm/v1/experiments/"),
            "{proxy:?}: {location}"
        );
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_as_a_problem_whether_its_length_is_told_or_not() {
    const LENGTH: usize = 33 << 20;
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let whole = reqwest::Body::from(vec![b' '; LENGTH]);
        let parts = (0..33).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
        let chunked = reqwest::Body::wrap_stream(futures::stream::iter(parts));
        for (what, body) in [("told", whole), ("chunked", chunked)] {
            let request = front.by_user(Method::POST, "/v1/experiments").body(body);
            let response = request.header("content-type", "application/json").send().await.unwrap();
            problem_of(response, StatusCode::PAYLOAD_TOO_LARGE, &format!("{proxy:?}, {what}")).await;
        }
    }
}

#[tokio::test]
async fn metrics_are_for_this_host_and_the_one_that_is_named_however_they_are_spelt() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let reader = front.guarded.key("prometheus", "reader");
        let key = format!("Authorization: Bearer {reader}");
        let (here, _) = curl(&front, "127.0.0.1", "/metrics", &["-H", &key]);
        assert!([200, 404].contains(&here), "{proxy:?}: it reaches the server: {here}");
        let (named, _) = curl(&front, PROMETHEUS, "/metrics", &["-H", &key]);
        assert_eq!(named, here, "{proxy:?}: so does the named host");
        let (keyless, _) = curl(&front, PROMETHEUS, "/metrics", &[]);
        assert_eq!(keyless, 401, "{proxy:?}: and needs its key as well");
        for path in [
            "/metrics",
            "/metrics?x=1",
            "//metrics",
            "/./metrics",
            "/v1/../metrics",
            "/%6detrics",
            "/%2e/metrics",
            "/METRICS",
            "/metrics/",
            "/metrics%2f",
        ] {
            let (status, body) = curl(&front, "127.0.0.2", path, &["-H", &key]);
            assert!([400, 403, 404].contains(&status), "{proxy:?} {path}: {status} {body}");
            assert!(!body.contains("# HELP"), "{proxy:?} {path}: {body}");
        }
        let (status, body) = curl(&front, "127.0.0.2", "/metrics", &["-H", &key]);
        assert_eq!(status, 403, "{proxy:?}: {body}");
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap()["status"],
            403,
            "{proxy:?}"
        );
        let (status, _) = curl(&front, "127.0.0.2", "/v1/devices", &["--http2", "-H", &key]);
        assert_eq!(
            status, 200,
            "{proxy:?}: the rest is for everybody with a key, also by HTTP/2"
        );
    }
}

#[tokio::test]
async fn another_site_s_page_changes_nothing_with_the_password_that_a_browser_adds() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let own = format!("https://{HOST}:{}", front.address.port());
        for (origin, site, status) in [
            ("https://evil.example", "cross-site", StatusCode::FORBIDDEN),
            (&*own, "same-origin", StatusCode::CREATED),
        ] {
            let request = front.by_user(Method::POST, "/v1/experiments").json(&experiment());
            let request = request.header("origin", origin).header("sec-fetch-site", site);
            assert_eq!(request.send().await.unwrap().status(), status, "{proxy:?}: {origin}");
            let older_browser = front.by_user(Method::POST, "/v1/experiments").json(&experiment());
            let older_browser = older_browser.header("origin", origin);
            assert_eq!(
                older_browser.send().await.unwrap().status(),
                status,
                "{proxy:?}: {origin}"
            );
        }
    }
}

/// What a lab puts in front of a server that was never meant for more than its own host.
#[tokio::test]
async fn behind_a_bare_proxy_a_server_without_keys_answers_nobody() {
    Proxy::installed();
    let server = Server::start();
    for (proxy, lines) in [
        (Proxy::Nginx, ""),
        (Proxy::Nginx, "proxy_set_header Host $host;"),
        (Proxy::Nginx, "proxy_set_header Host localhost;"),
        (Proxy::Nginx, "proxy_http_version 1.1; proxy_set_header Host $host;"),
        (
            Proxy::Nginx,
            "proxy_http_version 1.1; proxy_set_header Via \"1.1 lab\";",
        ),
        (Proxy::Caddy, ""),
    ] {
        let bare = Bare::start(proxy, &server.url, lines);
        for path in ["/v1/audit", "/v1/experiments", "/healthz"] {
            let request = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = request.get(format!("http://{}{path}", bare.address));
            let response = request.header("host", HOST).send().await.unwrap();
            let (status, text) = (response.status(), response.text().await.unwrap());
            assert_eq!(status, StatusCode::FORBIDDEN, "{proxy:?} {lines} {path}: {text}");
        }
    }
}
