//! What the server keeps of large submissions.

use std::time::Duration;

use serde_json::json;

use crate::server::Server;

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn memory_comes_back_once_large_submissions_are_stored() {
    const MIB: u64 = 1024 * 1024;
    // Each of six connections to the database keeps 8 MiB of pages and the last text that it read, 9 MiB here; and half as
    // much again.
    const KEPT_BYTES: u64 = 153 * MIB;
    let server = Server::start();
    // What waits is in the database alone.
    let blocker = json!({"model_name": "synthetic:decode_ms=60000", "prompts": ["a"], "max_output_tokens": 4});
    let blocker = server.accepted(&blocker).await;
    let before = resident_bytes(server.pid());
    let prompt = "lorem ipsum ".repeat(85);
    let prompts = vec![prompt.as_str(); 8 * 1024];
    for large in [json!(prompts), json!(vec![prompt.repeat(3 * 1024); 3])] {
        let body = json!({"model_name": "synthetic:", "prompts": large, "max_output_tokens": 1});
        for _ in 0..4 {
            let id = server.accepted(&body).await;
            server.cancel(&id).await;
        }
    }
    let mut kept = u64::MAX;
    for _ in 0..200 {
        kept = resident_bytes(server.pid()).saturating_sub(before);
        if kept < KEPT_BYTES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.cancel(&blocker).await;
    assert!(kept < KEPT_BYTES, "{} MiB more than before", kept / MIB);
}
