//! Where services listen: where their configuration says, if that is free, else anywhere. They keep their places when they are started again.

use crate::{
    error::{CliError, CliResult},
    project::{Member, Project},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

/// Where a service listens.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
    /// That it is not where its configuration says, and why; told once.
    pub(super) moved: Option<String>,
}

impl Place {
    /// The URL under which it is reached from this machine.
    pub(super) fn url(&self) -> String {
        let mut addr = self.http;
        if addr.ip().is_unspecified() {
            addr.set_ip(if addr.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        format!("http://{addr}")
    }
}

/// What was asked for by which service, and what it got.
#[derive(Default)]
pub(super) struct Addresses {
    given: BTreeMap<(String, &'static str), (Option<SocketAddr>, SocketAddr)>,
}

impl Addresses {
    /// The places of these services. None of them may be running.
    pub(super) fn of(&mut self, members: &[Member]) -> CliResult<Vec<Place>> {
        members.iter().map(|member| self.place(member)).collect()
    }

    fn place(&mut self, member: &Member) -> CliResult<Place> {
        let wanted = |section| -> Option<SocketAddr> { Project::setting(member, [section, "addr"])?.as_str()?.parse().ok() };
        let (http, first) = self.give(&member.name, "http", wanted("http"))?;
        let (admin, second) = self.give(&member.name, "admin", wanted("admin"))?;
        let told =
            |what, taken: Option<SocketAddr>, given| taken.map(|taken| format!("{taken} is taken, so `{what}.addr` is {given} for now"));
        let moved: Vec<String> = [told("http", first, http), told("admin", second, admin)].into_iter().flatten().collect();
        Ok(Place { name: member.name.clone(), http, admin, moved: (!moved.is_empty()).then(|| moved.join("; ")) })
    }

    /// What is wanted, if nobody has it, and else any; then what was wanted is told as well, the first time.
    pub(super) fn give(
        &mut self,
        name: &str,
        what: &'static str,
        wanted: Option<SocketAddr>,
    ) -> CliResult<(SocketAddr, Option<SocketAddr>)> {
        let key = (name.to_owned(), what);
        if let Some((before, given)) = self.given.get(&key)
            && *before == wanted
        {
            return Ok((*given, None));
        }
        let others: BTreeSet<SocketAddr> = self.given.iter().filter(|(other, _)| **other != key).map(|(_, (_, given))| *given).collect();
        let is_free = |addr: &SocketAddr| addr.port() != 0 && !others.contains(addr) && TcpListener::bind(addr).is_ok();
        let given = match wanted.filter(is_free) {
            Some(addr) => addr,
            None => free().map_err(|error| CliError::said(format!("there is no free port: {error}")))?,
        };
        self.given.insert(key, (wanted, given));
        Ok((given, wanted.filter(|addr| *addr != given && addr.port() != 0)))
    }
}

fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_port_that_is_taken_is_another_one_and_stays_it() {
        let place = tempfile::TempDir::new().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let member = |name: &str, http: SocketAddr| {
            let directory = place.path().join(name);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("minos.toml"), format!("[http]\naddr = \"{http}\"\n")).unwrap();
            Member { name: name.to_owned(), directory }
        };
        let open = free().unwrap();
        let members = [member("a", open), member("b", open), member("c", taken.local_addr().unwrap())];
        let mut addresses = Addresses::default();
        let first = addresses.of(&members).unwrap();
        assert_eq!((first[0].http, &first[0].moved), (open, &None));
        assert_ne!(first[1].http, open, "it is that of another service");
        let told = first[2].moved.as_deref().unwrap();
        assert!(told.ends_with(&format!("is taken, so `http.addr` is {} for now", first[2].http)), "{told}");
        let again = addresses.of(&members).unwrap();
        let places = |all: &[Place]| all.iter().map(|place| (place.http, place.admin)).collect::<Vec<_>>();
        assert_eq!(places(&again), places(&first));
        assert!(again.iter().all(|place| place.moved.is_none()), "that is told once");
        let mut anywhere = first[0].clone();
        anywhere.http.set_ip([0, 0, 0, 0].into());
        assert_eq!(anywhere.url(), format!("http://127.0.0.1:{}", open.port()));
    }
}
