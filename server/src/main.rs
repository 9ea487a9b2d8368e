//! The `holdall` program: reads the command line and hands over.

use holdall_server::{
    app::{self, Plan, StartError, Stopped},
    cli::{self, EXIT_STORE_REFUSED, ServeArgs, fail},
    telemetry::log::LogLevel,
};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Many small, short-lived frames on many threads: what it is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_SPOOLED: u8 = 4;
const EXIT_STORE_FAILED: u8 = 5;

fn main() -> ExitCode {
    cli::run(cli::parse(), serve)
}

fn serve(args: ServeArgs) -> ExitCode {
    // A huge page is cleared whole when it is first touched, and whoever waits for that thread waits longer; and it weighs whole
    // where little of it is used. Where the system does not let us, it is only a little slower.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let sources = args.sources();
    let (loaded, rules) = match cli::load(&sources) {
        Ok(checked) => checked,
        Err(faults) => return cli::report(&faults),
    };
    let settings = &loaded.settings;
    let log =
        LogLevel::start(settings.log.level.as_str(), settings.log.format == holdall_server::config::LogFormat::Json);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("serve");
    if settings.server.worker_threads > 0 {
        builder.worker_threads(settings.server.worker_threads);
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(cli::EXIT_USAGE, &format!("no threads to serve with: {error}")),
    };
    let read = Box::new(move || cli::load(&sources));
    let plan = Plan { loaded, rules, read, ready_file: args.ready_file, new_world: args.new_world, log };
    match runtime.block_on(app::serve(plan, told_to_stop())) {
        Ok(Stopped::Clean) => ExitCode::SUCCESS,
        Ok(Stopped::Spooled) => ExitCode::from(EXIT_SPOOLED),
        Ok(Stopped::StoreFailed) => ExitCode::from(EXIT_STORE_FAILED),
        Err(error @ StartError::Config(_)) => fail(cli::EXIT_USAGE, &error.to_string()),
        Err(error @ StartError::Store(_)) => fail(EXIT_STORE_REFUSED, &error.to_string()),
    }
}

/// SIGTERM or Ctrl-C.
async fn told_to_stop() {
    let mut term = signal(SignalKind::terminate()).expect("a handler for SIGTERM can be installed");
    let mut int = signal(SignalKind::interrupt()).expect("a handler for SIGINT can be installed");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
