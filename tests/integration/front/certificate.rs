//! A certificate of a test's own authority, by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Certificate {
    pub authority: Vec<u8>,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// For this name and 127.0.0.1, in the folder; its authority is in `authority.pem`.
    pub fn make(name: &str, folder: &Path) -> Self {
        let path = |file: &str| folder.join(file);
        let subject = format!("/CN={name}");
        let names = format!("subjectAltName=DNS:{name},IP:127.0.0.1");
        let new = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-noenc",
            "-days",
            "2",
        ];
        openssl(
            folder,
            &[
                &new[..],
                &[
                    "-subj",
                    "/CN=authority of a test",
                    "-keyout",
                    "authority.key",
                    "-out",
                    "authority.pem",
                ],
            ]
            .concat(),
        );
        let issued = [
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority.key",
            "-subj",
            &subject,
            "-addext",
            &names,
        ];
        let leaf = [
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "site.key",
            "-out",
            "site.pem",
        ];
        openssl(folder, &[&new[..], &issued, &leaf].concat());
        Self {
            authority: std::fs::read(path("authority.pem")).expect("it was made"),
            certificate: path("site.pem"),
            key: path("site.key"),
        }
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
