use std::ops::Range;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use super::database::{Database, block_on};

/// Milliseconds since 1970 of the first copy; each is a millisecond younger than the one before.
const FIRST_MS: i64 = 1_700_000_000_000;

/// The id of the copy with a number, as [`Dialect::id`] writes it, and its place by finish.
pub const LUA_ID: &str = r#"
    local function id(number)
        local ms = 1700000000000 + number
        return string.format("%08x-%04x-7000-8000-%012x", math.floor(ms / 65536), ms % 65536, number)
    end
    local function finish(number)
        return string.format("%.0f.%s", (1700000000000 + number) * 1000 + 1000000, id(number))
    end
"#;

/// A second later.
const FINISHED_AT_US: &str = "($1 + i) * 1000 + 1000000";

/// What the two databases write differently.
struct Dialect {
    /// A UUIDv7 whose time is the first copy's and one millisecond a number.
    id: &'static str,
    numbers: &'static str,
    columns: &'static str,
    before: &'static str,
    /// As a year's own housekeeping leaves it.
    after: &'static str,
}

const SQLITE: Dialect = Dialect {
    id: "printf('%08x-%04x-7000-8000-%012x', ($1 + i) >> 16, ($1 + i) & 65535, i)",
    numbers: "RECURSIVE n (i) AS (SELECT $2 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $3)",
    columns: "SELECT name FROM pragma_table_info('experiments')",
    before: "PRAGMA synchronous = OFF",
    after: "PRAGMA wal_checkpoint(TRUNCATE)",
};

const POSTGRES: Dialect = Dialect {
    id: "lpad(to_hex(($1 + i) >> 16), 8, '0') || '-' || lpad(to_hex(($1 + i) & 65535), 4, '0') || '-7000-8000-' \
         || lpad(to_hex(i), 12, '0')",
    numbers: "n (i) AS (SELECT generate_series($2, $3 - 1))",
    columns: "SELECT column_name::text AS name FROM information_schema.columns WHERE table_name = 'experiments'",
    // Replicas check no references: what is copied here has them all.
    before: "SET synchronous_commit = off; SET session_replication_role = replica",
    after: "VACUUM ANALYZE; CHECKPOINT",
};

fn dialect(database: &Database) -> &'static Dialect {
    match database.is_sqlite() {
        true => &SQLITE,
        false => &POSTGRES,
    }
}

/// Copies the experiment `template` with its report, ten models and two labels, in the order of their age.
pub fn fill(database: &Database, template: &str, numbers: Range<u32>) {
    let dialect = dialect(database);
    block_on(async {
        let mut connection = database.connection().await;
        execute(&mut connection, dialect.before).await;
        let columns = columns(&mut connection, dialect).await;
        let mut begin = numbers.start;
        while begin < numbers.end {
            let end = (begin + 50_000).min(numbers.end);
            let statements = copies(dialect, &columns);
            write(&mut connection, dialect, &statements, template, begin..end).await;
            begin = end;
        }
        for statement in dialect.after.split("; ") {
            execute(&mut connection, statement).await;
        }
        connection.close().await.expect("the database closes");
    });
}

/// Queues copies of the experiment `template`, by turns of `lanes` needs and of `users`, none of which this node can
/// run: their models are not here.
pub fn queue(database: &Database, template: &str, copies: u32, (lanes, users): (u32, u32)) {
    let dialect = dialect(database);
    block_on(async {
        let mut connection = database.connection().await;
        execute(&mut connection, dialect.before).await;
        let needs = sqlx::query("SELECT l.needs FROM lanes l JOIN experiments e ON e.lane = l.lane WHERE e.id = $1")
            .bind(template)
            .fetch_one(&mut connection)
            .await
            .expect("its needs");
        let needs: serde_json::Value = serde_json::from_str(needs.get(0)).expect("they are JSON");
        for lane in 0..lanes {
            let mut needs = needs.clone();
            needs["model_name"] = format!("elsewhere-{lane}.gguf").into();
            sqlx::query("INSERT INTO lanes (lane, needs) VALUES ($1, $2)")
                .bind(format!("lane{lane}"))
                .bind(needs.to_string())
                .execute(&mut connection)
                .await
                .expect("a lane");
        }
        let columns = columns(&mut connection, dialect).await;
        let values = columns.iter().map(|column| match column.as_str() {
            "id" => dialect.id.to_owned(),
            "created_at_us" => "($1 + i) * 1000".to_owned(),
            "state" => "'queued'".to_owned(),
            "attempt" => "0".to_owned(),
            "priority" => "i % 3".to_owned(),
            "lane" => format!("'lane' || (i % {lanes})"),
            "user_name" => format!("'user' || ((i / {lanes}) % {users})"),
            "started_at_us" | "finished_at_us" | "node_name" | "gpus" => "NULL".to_owned(),
            other => format!("t.{other}"),
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let statement = format!(
            "INSERT INTO experiments ({}) SELECT {values} FROM n, experiments t WHERE t.id = $4",
            columns.join(", ")
        );
        write(&mut connection, dialect, &[statement], template, 0..copies).await;
        for statement in dialect.after.split("; ") {
            execute(&mut connection, statement).await;
        }
        connection.close().await.expect("the database closes");
    });
}

/// Whatever columns there are.
async fn columns(connection: &mut AnyConnection, dialect: &Dialect) -> Vec<String> {
    let rows = sqlx::query(dialect.columns).fetch_all(connection).await;
    rows.expect("the columns").iter().map(|row| row.get("name")).collect()
}

/// All columns but some are the template's.
fn copies(dialect: &Dialect, columns: &[String]) -> [String; 4] {
    let id = dialect.id;
    let values = columns.iter().map(|column| match column.as_str() {
        "id" => id.to_owned(),
        "created_at_us" => "($1 + i) * 1000".to_owned(),
        "finished_at_us" => FINISHED_AT_US.to_owned(),
        "model_name" => "'m' || (i % 10)".to_owned(),
        other => format!("t.{other}"),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let labels = "INSERT INTO experiment_labels (experiment_id, label, value, finished_at_us)";
    [
        format!(
            "INSERT INTO experiments ({}) SELECT {values} FROM n, experiments t WHERE t.id = $4",
            columns.join(", ")
        ),
        format!("{labels} SELECT {id}, 'team', 't' || (i % 10), {FINISHED_AT_US} FROM n WHERE $4 <> ''"),
        format!("{labels} SELECT {id}, 'run', 'r' || i, {FINISHED_AT_US} FROM n WHERE $4 <> ''"),
        format!(
            "INSERT INTO reports (experiment_id, report, packed) SELECT {id}, r.report, r.packed FROM n, reports r \
             WHERE r.experiment_id = $4"
        ),
    ]
}

async fn write(
    connection: &mut AnyConnection,
    dialect: &Dialect,
    statements: &[String],
    template: &str,
    numbers: Range<u32>,
) {
    let mut transaction = connection.begin().await.expect("a transaction begins");
    for statement in statements {
        sqlx::query(AssertSqlSafe(format!("WITH {} {statement}", dialect.numbers)))
            .bind(FIRST_MS)
            .bind(i64::from(numbers.start))
            .bind(i64::from(numbers.end))
            .bind(template)
            .execute(&mut *transaction)
            .await
            .expect("the copies are stored");
    }
    transaction.commit().await.expect("the copies stay");
}

async fn execute(connection: &mut AnyConnection, text: &'static str) {
    let done = sqlx::raw_sql(text).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{text}: {error}"));
}
