//! A real file system that is small enough to be filled.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A small file system that only the processes see that are [run](Disk::run) with it. It is gone with this value.
pub struct Disk {
    /// Keeps the namespace of mounts.
    holder: Child,
    place: PathBuf,
    /// What lets another process into the namespace.
    enter: Vec<String>,
}

impl Disk {
    /// A file system of this size at this place, or why there can be none on this machine.
    pub fn mount(place: &Path, size: &str) -> Result<Disk, String> {
        fs::create_dir(place).unwrap();
        // As root; or as someone who may at least be root in a namespace of users.
        Disk::hold(place, size, &["-m"], &["-m"])
            .or_else(|_| Disk::hold(place, size, &["-r", "-m"], &["-U", "--preserve-credentials", "-m"]))
    }

    fn hold(place: &Path, size: &str, unshare: &[&str], enter: &[&str]) -> Result<Disk, String> {
        // It ends with its standard input, so with this process at the latest.
        let script = "mount -t tmpfs -o size=$1 tmpfs \"$2\" && echo mounted && exec cat";
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", script, "sh", size])
            .arg(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("`unshare` cannot be run: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        let enter = ["-t", &holder.id().to_string()].iter().chain(enter).map(|arg| (*arg).to_owned()).collect();
        let disk = Disk { holder, place: place.to_owned(), enter };
        if line.trim() == "mounted" { Ok(disk) } else { Err("no file system can be mounted here".to_owned()) }
    }

    /// The same command, for a process that sees the file system.
    pub fn run(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(&self.enter).arg("--").arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        inside
    }

    fn filler(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.place.strip_prefix("/").unwrap()).join("filler")
    }

    /// Leaves no space at all.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for size in [1 << 16, 1] {
            let error = loop {
                if let Err(error) = file.write_all(&vec![0; size]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    /// Gives the space back.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
