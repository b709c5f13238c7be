//! Writes unique keys to whoever is primary, and says when it could not: `writer CATALOG SECONDS`.

use pilotfish_consul::{Client, Config, Cursor, HealthQuery, Read};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions as _, Executor as _, Row as _};
use std::time::{Duration, Instant};
use tokio::time::timeout;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let client = Client::new(Config::with_addresses(&arguments[1]).unwrap()).unwrap();
    let end = Instant::now() + Duration::from_secs_f64(arguments[2].parse().unwrap());
    let (sender, mut primary) = tokio::sync::watch::channel(None::<(String, u16)>);
    tokio::spawn(async move {
        let mut cursor = Cursor::new();
        loop {
            let read = Read::default().after(&cursor, Duration::from_secs(10));
            let query = HealthQuery { service: "mysql-primary".into(), passing: true, read, ..HealthQuery::default() };
            match client.health_service(&query).await {
                Ok(answer) => {
                    cursor.advance(answer.index);
                    let first = answer
                        .value
                        .iter()
                        .max_by_key(|it| it.meta.get("term").and_then(|t| t.parse::<u64>().ok()))
                        .map(|it| (it.address.clone(), it.port));
                    sender.send_if_modified(|now| {
                        let d = *now != first;
                        *now = first;
                        d
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let began = Instant::now();
    let (mut acked, mut n, mut last) = (Vec::new(), 0u64, None::<Instant>);
    let mut connection: Option<MySqlConnection> = None;
    let mut made = false;
    let run = began.elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
    while Instant::now() < end {
        if connection.is_none() {
            let Some((host, port)) = primary.borrow_and_update().clone() else {
                let _ = timeout(Duration::from_millis(100), primary.changed()).await;
                continue;
            };
            let options = MySqlConnectOptions::new()
                .host(&host)
                .port(port)
                .username("app")
                .password("app")
                .database("app")
                .disable_statement_logging();
            match timeout(Duration::from_secs(1), options.connect()).await {
                Ok(Ok(c)) => connection = Some(c),
                _ => {
                    let _ = timeout(Duration::from_millis(5), primary.changed()).await;
                    continue;
                }
            }
        }
        let c = connection.as_mut().unwrap();
        if !made {
            made = c
                .execute(sqlx::raw_sql(
                    "CREATE TABLE IF NOT EXISTS t (run BIGINT UNSIGNED, k BIGINT UNSIGNED, PRIMARY KEY (run, k))",
                ))
                .await
                .is_ok();
            if !made {
                connection = None;
                continue;
            }
        }
        n += 1;
        let statement = format!("INSERT INTO t VALUES ({run}, {n})");
        let work = c.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement)));
        let outcome = tokio::select! {
            o = work => o.map(|_| ()).map_err(|e| e.to_string()),
            _ = primary.changed() => Err("primary changed".into()),
        };
        match outcome {
            Ok(()) => {
                if let Some(last) = last
                    && last.elapsed() > Duration::from_millis(60)
                {
                    println!("{:7.3} gap {:.3} s", began.elapsed().as_secs_f64(), last.elapsed().as_secs_f64());
                }
                last = Some(Instant::now());
                acked.push(n);
            }
            Err(e) => {
                println!("{:7.3} {e}", began.elapsed().as_secs_f64());
                connection = None;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (host, port) = primary.borrow().clone().expect("a primary");
    let mut c = MySqlConnectOptions::new()
        .host(&host)
        .port(port)
        .username("app")
        .password("app")
        .database("app")
        .connect()
        .await
        .unwrap();
    let rows =
        c.fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT k FROM t WHERE run = {run}")))).await.unwrap();
    let there: std::collections::HashSet<u64> =
        rows.iter().map(|r| r.try_get_unchecked::<String, _>(0).unwrap().parse().unwrap()).collect();
    let lost: Vec<_> = acked.iter().filter(|k| !there.contains(k)).collect();
    println!(
        "acknowledged {}, there {}, LOST {} {:?}",
        acked.len(),
        there.len(),
        lost.len(),
        lost.iter().take(5).collect::<Vec<_>>()
    );
}
