use std::ops::Range;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

/// Milliseconds since 1970 of the first copy; each is a millisecond younger than the one before.
const FIRST_MS: u64 = 1_700_000_000_000;

/// The id of the copy with a number, as [`ID`] writes it, and its place by finish.
pub const LUA_ID: &str = r#"
    local function id(number)
        local ms = 1700000000000 + number
        return string.format("%08x-%04x-7000-8000-%012x", math.floor(ms / 65536), ms % 65536, number)
    end
    local function finish(number)
        return string.format("%.0f.%s", (1700000000000 + number) * 1000 + 1000000, id(number))
    end
"#;

/// A UUIDv7 whose time is the first copy's and one millisecond a number.
const ID: &str = "printf('%08x-%04x-7000-8000-%012x', ($1 + i) >> 16, ($1 + i) & 65535, i)";

/// A second later.
const FINISHED_AT_US: &str = "($1 + i) * 1000 + 1000000";

/// How many experiments are stored.
pub fn count(database: &Path) -> u32 {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.expect("the database opens");
        let row = connection
            .fetch_one("SELECT COUNT(*) FROM experiments")
            .await
            .expect("they are counted");
        connection.close().await.expect("the database closes");
        row.get(0)
    })
}

/// Copies the experiment `template` with its report, ten models and two labels, in the order of their age.
pub fn fill(database: &Path, template: &str, numbers: Range<u32>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .synchronous(SqliteSynchronous::Off);
        let mut connection = options.connect().await.expect("the database opens");
        let mut begin = numbers.start;
        while begin < numbers.end {
            let end = (begin + 50_000).min(numbers.end);
            copies(&mut connection, template, begin..end).await;
            begin = end;
        }
        connection
            .execute("PRAGMA wal_checkpoint(TRUNCATE)")
            .await
            .expect("the log is written back");
        connection.close().await.expect("the database closes");
    });
}

fn labels(label_and_value: &str) -> String {
    let columns = "experiment_id, label, value, finished_at_us";
    format!(
        "INSERT INTO experiment_labels ({columns}) SELECT {ID}, {label_and_value}, {FINISHED_AT_US} FROM n WHERE $4 = $4"
    )
}

async fn copies(connection: &mut SqliteConnection, template: &str, numbers: Range<u32>) {
    // Whatever columns there are: all but these are the template's.
    let rows = connection
        .fetch_all("SELECT name FROM pragma_table_info('experiments')")
        .await
        .expect("the columns");
    let columns = rows.iter().map(|row| row.get::<String, _>("name")).collect::<Vec<_>>();
    let values = columns.iter().map(|column| match column.as_str() {
        "id" => ID.to_owned(),
        "created_at_us" => "($1 + i) * 1000".to_owned(),
        "finished_at_us" => FINISHED_AT_US.to_owned(),
        "model_name" => "'m' || (i % 10)".to_owned(),
        other => format!("t.{other}"),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let statements = [
        format!(
            "INSERT INTO experiments ({}) SELECT {values} FROM n, experiments t WHERE t.id = $4",
            columns.join(", ")
        ),
        labels("'team', 't' || (i % 10)"),
        labels("'run', 'r' || i"),
        format!(
            "INSERT INTO reports (experiment_id, report, packed) SELECT {ID}, r.report, r.packed FROM n, reports r \
             WHERE r.experiment_id = $4"
        ),
    ];
    let mut transaction = connection.begin().await.expect("a transaction begins");
    for statement in statements {
        let numbered = "WITH RECURSIVE n (i) AS (SELECT $2 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $3)";
        sqlx::query(AssertSqlSafe(format!("{numbered} {statement}")))
            .bind(FIRST_MS as i64)
            .bind(i64::from(numbers.start))
            .bind(i64::from(numbers.end))
            .bind(template)
            .execute(&mut *transaction)
            .await
            .expect("the copies are stored");
    }
    transaction.commit().await.expect("the copies stay");
}
