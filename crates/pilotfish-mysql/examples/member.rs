//! One member without a supervisor, for experiments: `member ID ADDRESS DIRECTORY CATALOG [PROGRAM...]`, ports 13306 and 13307.

use pilotfish_mysql::*;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work());
}

async fn work() {
    let arguments: Vec<String> = std::env::args().collect();
    let (id, address, directory) = (arguments[1].parse().unwrap(), arguments[2].clone(), arguments[3].clone());
    let settings = Settings {
        service: "mysql".into(),
        name: format!("m{id}"),
        id: Some(id),
        address: address.clone(),
        bind: address.clone(),
        port: 13306,
        api_port: 13307,
        directory: format!("{directory}/state").into(),
        run_directory: format!("{directory}/run").into(),
        program: arguments[5..].to_vec(),
        options: vec!["--innodb-buffer-pool-size=64M".into()],
        user: Some("mysql".into()),
        template: None,
        scripts: "/nonexistent".into(),
        keep_aside: 2,
        policy: PolicySettings {
            durability: Durability::Quorum,
            acks: 1,
            min_in_sync: None,
            may_lead: true,
            ttl: std::time::Duration::from_secs(3),
            hang_limit: None,
            switchover_limit: std::time::Duration::from_secs(10),
        },
    };
    let credentials = Credentials {
        root_password: Some(Secret::new("root")),
        database: Some("app".into()),
        application: Some(("app".into(), Secret::new("app"))),
        replication_user: "repl".into(),
        replication_password: Secret::new("replpw"),
    };
    let client =
        pilotfish_consul::Client::new(pilotfish_consul::Config::with_addresses(&arguments[4]).unwrap()).unwrap();
    let began = std::time::Instant::now();
    let log: Log = Box::new(move |level, text| {
        if level != Level::Debug || std::env::var_os("DEBUG").is_some() {
            eprintln!("{:8.3} m{id} {level:?} {text}", began.elapsed().as_secs_f64());
        }
    });
    let (operator, handle) = Operator::new(settings, credentials, client, log).await.unwrap();
    let listener = TcpListener::bind((address.as_str(), 13307)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let handle = handle.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.split();
                let mut read = BufReader::new(read);
                let (mut first, mut authorization) = (String::new(), String::new());
                read.read_line(&mut first).await.unwrap();
                loop {
                    let mut line = String::new();
                    read.read_line(&mut line).await.unwrap();
                    if let Some(rest) = line.strip_prefix("Authorization: ") {
                        authorization = rest.trim().into();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let path = first.split(' ').nth(1).unwrap_or("");
                let order = match path {
                    "/switchover" => Some(Order::Switchover { to: None }),
                    "/pause" => Some(Order::Pause),
                    "/resume" => Some(Order::Resume),
                    "/adopt" => Some(Order::Adopt { member: None }),
                    "/force" => Some(Order::Force { member: None }),
                    "/rebuild" => Some(Order::Rebuild { member: None }),
                    _ => None,
                };
                if path == "/v1/copy" {
                    match handle.copy(&authorization).await {
                        Ok(mut copy) => {
                            let _ = write.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                            while let Some(piece) = copy.next().await {
                                match piece {
                                    Ok(piece) => {
                                        let _ = write.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await;
                                        let _ = write.write_all(&piece).await;
                                        let _ = write.write_all(b"\r\n").await;
                                    }
                                    Err(error) => return eprintln!("copy: {error}"),
                                }
                            }
                            let _ = write.write_all(b"0\r\n\r\n").await;
                        }
                        Err(error) => {
                            let _ = write.write_all(format!("HTTP/1.1 503 X\r\n\r\n{error}\n").as_bytes()).await;
                        }
                    }
                    return;
                }
                let text = match order {
                    Some(order) => format!("{:?}", handle.order(order).await),
                    None => serde_json::to_string_pretty(&handle.report()).unwrap(),
                };
                let _ =
                    write.write_all(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}\n").as_bytes()).await;
            });
        }
    });
    std::process::exit(operator.run().await.unwrap().into());
}
