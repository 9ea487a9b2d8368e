//! The command line: one subcommand a module of `cli`.

mod cli;

use clap::{Parser, Subcommand};
use cli::{compare::Compare, run::Run};
use holdall_client_sim::echo;
use std::process::ExitCode;
use tokio::{net::TcpListener, runtime::Builder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays Holdall as thousands of players would, and proves that it kept its promises.
#[derive(Debug, Parser)]
#[command(name = "client-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays against a server.
    Run(Box<Run>),
    /// Measures what Holdall costs beside a bare echo server, both started here for it.
    Compare(Compare),
    /// A bare echo server: the yardstick for figures of cost.
    Echo {
        /// Where to listen; port 0 takes a free one. The address is printed.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: String,
    },
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let mut builder = Builder::new_multi_thread();
    if let Command::Compare(compare) = &command {
        builder.worker_threads(compare.load_threads());
    }
    let runtime = builder.enable_all().build().map_err(|error| format!("no threads to run on: {error}"));
    let done = runtime.and_then(|runtime| runtime.block_on(command.carry_out()));
    done.unwrap_or_else(|error| {
        eprintln!("client-sim: {error}");
        ExitCode::from(2)
    })
}

impl Command {
    async fn carry_out(self) -> Result<ExitCode, String> {
        match self {
            Self::Run(run) => run.play().await,
            Self::Compare(compare) => compare.measure().await,
            Self::Echo { listen } => answer(&listen).await,
        }
    }
}

async fn answer(listen: &str) -> Result<ExitCode, String> {
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("{address}");
    tokio::select! {
        ended = echo::serve(listener) => ended.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string()),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}
