use std::fmt;
use std::process::Command;

/// Connections that submit at once; each sends its next one when it is answered.
pub const SUBMITTERS: u32 = 64;
const READERS: u32 = 4;
const READ_SECONDS: u32 = 3;

/// What wrk measured: every request of every connection.
pub struct Load {
    pub requests: u32,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests,
            per_second,
            p50_ms,
            p99_ms,
        } = self;
        write!(
            f,
            "{per_second:>7.0}/s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms ({requests} requests)"
        )
    }
}

impl Load {
    pub fn submit(url: &str, seconds: u32) -> Self {
        let script = r#"
            wrk.method = "POST"
            wrk.headers["Content-Type"] = "application/json"
            wrk.body = [[{"model_name": "synthetic:decode_ms=1", "prompts": {"dataset": "short-32"},
                "max_output_tokens": 64, "min_output_tokens": 64, "labels": {"team": "nlp", "run": "bench"}}]]
        "#;
        run(&format!("{url}/v1/experiments"), script, (SUBMITTERS, seconds))
    }

    /// Each request is for another of the `size` experiments, or for the page behind it, at random.
    pub fn read(url: &str, kind: &str, size: u32) -> Self {
        // What the first requests bring into the server's memory is not what is measured.
        run(url, &reading(kind, size), (READERS, 1));
        Self::read_at_once(url, kind, size)
    }

    /// Likewise, with nothing read before.
    pub fn read_at_once(url: &str, kind: &str, size: u32) -> Self {
        run(url, &reading(kind, size), (READERS, READ_SECONDS))
    }

    /// Of each figure the median over several runs.
    pub fn median(loads: Vec<Self>) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures = loads.iter().map(figure).collect::<Vec<_>>();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            requests: loads.iter().map(|load| load.requests).sum(),
            per_second: of(|load| load.per_second),
            p50_ms: of(|load| load.p50_ms),
            p99_ms: of(|load| load.p99_ms),
        }
    }
}

fn reading(kind: &str, size: u32) -> String {
    let path = match kind {
        "newest page" => r#""/v1/experiments""#,
        "page at a cursor" => r#""/v1/experiments?cursor=" .. id(math.random(size / 2, size - 1))"#,
        "one experiment" => r#""/v1/experiments/" .. id(math.random(0, size - 1))"#,
        "one result" => r#""/v1/experiments/" .. id(math.random(0, size - 1)) .. "/results""#,
        "page of a label" => r#""/v1/experiments?label=team=t" .. math.random(0, 9)"#,
        "page of a model" => r#""/v1/experiments?model=m" .. math.random(0, 9)"#,
        "oldest page" => r#""/v1/experiments?sort=created_at""#,
        "last finished" => r#""/v1/experiments?sort=-finished_at""#,
        "finished, cursor" => {
            r#""/v1/experiments?sort=-finished_at&cursor=" .. finish(math.random(size / 2, size - 1))"#
        }
        "finished, label" => r#""/v1/experiments?sort=-finished_at&label=team=t" .. math.random(0, 9)"#,
        other => panic!("there is no {other}"),
    };
    format!(
        r#"
            local size = {size}
            {}
            math.randomseed(1)
            request = function() return wrk.format("GET", {path}) end
            "#,
        super::fill::LUA_ID
    )
}

fn run(url: &str, script: &str, (connections, seconds): (u32, u32)) -> Load {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("script.lua");
    std::fs::write(&path, script).expect("the script is written");
    let run = Command::new("wrk")
        .args(["--latency", "-t1"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg("-s")
        .arg(&path)
        .arg(url)
        .output()
        .expect("wrk is there: apt-get install wrk");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success() && !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{text}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let behind = |label: &str| {
        let mut words = text.split_whitespace();
        words
            .find(|word| *word == label)
            .and_then(|_| words.next())
            .unwrap_or_else(|| panic!("no {label}: {text}"))
    };
    let requests = text
        .split(" requests in ")
        .next()
        .and_then(|before| before.split_whitespace().last());
    Load {
        requests: requests
            .and_then(|count| count.parse().ok())
            .unwrap_or_else(|| panic!("{text}")),
        per_second: behind("Requests/sec:").parse().expect("a rate"),
        p50_ms: milliseconds(behind("50%")),
        p99_ms: milliseconds(behind("99%")),
    }
}

/// wrk writes `734.00us`, `7.86ms` or `1.02s`.
fn milliseconds(text: &str) -> f64 {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    let found = units
        .iter()
        .find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor));
    found.unwrap_or_else(|| panic!("{text} is no time"))
}
