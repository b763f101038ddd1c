fn main() {
    // sqlx embeds the folder while it compiles; without this a new migration would not be noticed.
    println!("cargo:rerun-if-changed=../../migrations");
}
