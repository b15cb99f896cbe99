//! Servers for tests: the one that `MINOS_TEST_POSTGRES_URL` names, in which each test has a schema of its own, and private ones that may be ended.

use super::*;
use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// Tells that something cannot be run here. Where everything has to be run, that is a failure.
pub(super) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}, and CI is set");
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // Not by `eprintln`, whose text the harness keeps for itself while the test passes.
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {what}");
}

/// The URL of the server, with a schema that no other test has.
pub(super) fn url() -> Option<String> {
    let Ok(url) = std::env::var("MINOS_TEST_POSTGRES_URL") else {
        missing("MINOS_TEST_POSTGRES_URL does not name a PostgreSQL server (`scripts/services up` starts one)");
        return None;
    };
    Some(in_schema(&url, &format!("test_{}", Uuid::now_v7().simple())))
}

/// A URL with a schema.
pub(super) fn in_schema(url: &str, schema: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}schema={schema}")
}

/// The schema that a URL names.
pub(super) fn schema_of(url: &str) -> String {
    Settings::parse(url).unwrap().schema
}

/// An empty store.
pub(super) async fn open() -> Option<PostgresStore> {
    Some(store(&url()?).await.unwrap())
}

/// The store of this URL.
pub(super) async fn store(url: &str) -> StoreResult<PostgresStore> {
    PostgresStore::open(url, "test", &Metrics::new("test")).await
}

/// A connection of the test's own.
pub(super) async fn client(url: &str) -> Client {
    let (client, connection) = Settings::parse(url).unwrap().config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Where the programs of PostgreSQL are.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("MINOS_TEST_POSTGRES_BIN").map(PathBuf::from);
    let installed = || {
        let mut all: Vec<_> = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin")).collect();
        all.sort();
        all.pop()
    };
    let found = named.or_else(installed).filter(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists());
    if found.is_none() {
        missing("the programs of PostgreSQL are not in /usr/lib/postgresql or MINOS_TEST_POSTGRES_BIN");
    }
    found
}

/// A server that a test may end, with settings of its own. It is ended with the test.
pub(super) struct Private {
    programs: PathBuf,
    directory: TempDir,
    pub(super) port: u16,
}

impl Private {
    pub(super) fn start(settings: &str) -> Option<Self> {
        let programs = programs()?;
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Private { programs, directory, port };
        if let Some((uid, gid)) = unprivileged() {
            std::os::unix::fs::chown(server.directory.path(), Some(uid), Some(gid)).unwrap();
        }
        server.run("initdb", &["-U", "minos", "--auth=trust", "-E", "UTF8", "--no-sync", "--no-instructions"]);
        let always = format!(
            "\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nmax_prepared_transactions = 5\n{settings}\n"
        );
        let path = server.data().join("postgresql.conf");
        fs::write(&path, fs::read_to_string(&path).unwrap() + &always).unwrap();
        server.up();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-D").arg(self.data()).args(arguments).current_dir("/");
        if let Some((uid, gid)) = unprivileged() {
            command.uid(uid).gid(gid);
        }
        let log = self.directory.path().join(program);
        let status = command.stdout(fs::File::create(&log).unwrap()).stderr(fs::File::create(&log).unwrap()).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}: {}", fs::read_to_string(&log).unwrap_or_default());
    }

    pub(super) fn up(&self) {
        self.run("pg_ctl", &["-w", "-l", &self.data().join("log").display().to_string(), "start"]);
    }

    pub(super) fn down(&self, mode: &str) {
        self.run("pg_ctl", &["-w", "-m", mode, "stop"]);
    }

    /// Goes on with this key and certificate.
    pub(super) fn secure(&self, key: &Path, certificate: &Path) {
        self.down("fast");
        let data = self.data();
        for (from, to) in [(key, "server.key"), (certificate, "server.crt")] {
            let to = data.join(to);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = unprivileged() {
                std::os::unix::fs::chown(&to, Some(uid), Some(gid)).unwrap();
            }
        }
        let settings = data.join("postgresql.conf");
        fs::write(&settings, fs::read_to_string(&settings).unwrap() + "ssl = on\n").unwrap();
        self.up();
    }

    /// Copies its files as they are now.
    pub(super) fn save(&self) {
        self.copy("data", "saved");
        // A copy of a server that runs is one of a server that has crashed.
        let _ = fs::remove_file(self.directory.path().join("saved/postmaster.pid"));
    }

    /// Goes back to the copy. The server is down.
    pub(super) fn restore(&self) {
        fs::remove_dir_all(self.data()).unwrap();
        self.copy("saved", "data");
    }

    fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|name| self.directory.path().join(name));
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://minos@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn data_file(&self, name: &str) -> PathBuf {
        Path::new(&self.data()).join(name)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.run("pg_ctl", &["-w", "-m", "immediate", "stop"]);
        }
    }
}

/// PostgreSQL does not run as root: then it runs as its own user.
fn unprivileged() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").ok().is_some_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}
