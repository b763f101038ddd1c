fn main() {
    // sqlx embeds the folder at compile time; without this line, cargo would not notice a new migration.
    println!("cargo:rerun-if-changed=../../migrations");
}
