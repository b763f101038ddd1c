//! The repository's Rust files, and where each stands in the crate.

use std::fs;
use std::path::Path;

/// A Rust file, by its path from the repository's root.
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

impl SourceFile {
    pub fn is_of_the_crate(&self) -> bool {
        self.path.starts_with("src/")
    }

    /// `src/energy/window.rs` is `["energy", "window"]`; the crate's roots are empty.
    pub fn module(&self) -> Vec<String> {
        let path = self
            .path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .trim_end_matches("/mod");
        match path {
            "lib" | "main" => Vec::new(),
            _ => path.split('/').map(str::to_owned).collect(),
        }
    }
}

/// Every Rust file under `src` and `tests`, sorted by path.
pub fn read_tree() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        read_folder(root, &root.join(folder), &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{} cannot be read: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("the folder's entries can be read").path();
        if path.is_dir() {
            read_folder(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is readable text");
            let from_root = path.strip_prefix(root).expect("the folder is below the root");
            files.push(SourceFile {
                path: from_root.to_string_lossy().into_owned(),
                text,
            });
        }
    }
}

#[test]
fn a_files_module_is_its_path() {
    let module = |path: &str| {
        SourceFile {
            path: path.to_owned(),
            text: String::new(),
        }
        .module()
        .join("::")
    };
    assert_eq!(module("src/lib.rs"), "");
    assert_eq!(module("src/main.rs"), "");
    assert_eq!(module("src/energy.rs"), "energy");
    assert_eq!(module("src/energy/source/rapl.rs"), "energy::source::rapl");
}
