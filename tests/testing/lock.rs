//! `events.lock`: the story of one aggregate, through all that its types may become.

use minos::{
    __private::{Persisted, check_persisted, inventory},
    prelude::*,
    testing::{EventsLockError, TestService},
};
use std::{fs, path::Path};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Status {
    Open,
    Shipped { by: String, stops: Vec<u16> },
}

/// As it began.
mod first {
    use super::*;

    #[aggregate]
    pub struct Barrel {
        pub price: u64,
        pub owner: String,
        pub status: Status,
        pub keeper: Option<Uuid>,
    }

    #[aggregate]
    impl Barrel {
        #[event("BarrelWeighed")]
        pub fn weighed(&mut self, kilograms: u32) {
            self.price += u64::from(kilograms);
        }
    }
}

/// What is new may be missing, and what is gone is not missed.
mod more {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum Status {
        Shipped { stops: Vec<u16>, by: String, fast: Option<bool> },
        Lost(Timestamp),
        Open,
    }

    #[aggregate(name = "Barrel")]
    pub struct Cask {
        pub status: Status,
        #[minos(was = "owner")]
        pub holder: String,
        pub price: u64,
        #[serde(default)]
        pub marks: Vec<String>,
    }

    #[aggregate]
    impl Cask {
        #[event("BarrelWeighed")]
        fn weighed(&mut self, #[minos(was = "kilograms")] weight: u32, scale: Option<String>) {
            self.price += u64::from(weight);
            self.marks.extend(scale);
        }
    }
}

/// What was in the clear is sensitive, and an upcaster moves it on.
mod hidden {
    use super::*;
    use minos::Fields;

    #[aggregate]
    pub struct Barrel {
        pub price: u64,
        pub owner: Sensitive<String>,
        pub status: Status,
        pub keeper: Option<Uuid>,
    }

    #[aggregate]
    impl Barrel {
        #[event("BarrelWeighed")]
        pub fn weighed(&mut self, kilograms: Sensitive<u32>) {
            self.price += kilograms.expose().map_or(0, |kilograms| u64::from(*kilograms));
        }
    }

    pub mod moved {
        use super::*;

        #[aggregate(version = 2, upcast = from_v1)]
        pub struct Barrel {
            pub price: u64,
            pub holder: Sensitive<Vec<String>>,
            pub status: Status,
            pub keeper: Option<Uuid>,
        }

        fn from_v1(fields: &mut Fields) -> Result<()> {
            if let Some(owner) = fields.take::<Sensitive<String>>("owner")? {
                assert!(owner.expose().is_some(), "samples are read as they were");
                fields.set("holder", &Sensitive::new(owner.into_exposed().into_iter().collect::<Vec<_>>()))?;
            }
            Ok(())
        }

        #[aggregate]
        impl Barrel {
            #[event("BarrelWeighed", version = 2, upcast = weighed_v1)]
            fn weighed(&mut self, grams: Sensitive<u32>) {
                self.price += u64::from(*grams.expose().expect("samples are read as they were"));
            }
        }

        #[derive(Deserialize)]
        pub struct WeighedV1 {
            kilograms: Sensitive<u32>,
        }

        fn weighed_v1(old: WeighedV1) -> BarrelWeighed {
            BarrelWeighed { grams: (old.kilograms.into_exposed().unwrap_or_default() * 1_000).into() }
        }
    }
}

/// Two types are other ones, and one variant is gone.
mod broken {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum Status {
        Open,
    }

    #[aggregate]
    pub struct Barrel {
        pub price: String,
        pub owner: String,
        pub status: Status,
        pub keeper: Option<Uuid>,
    }

    #[aggregate]
    impl Barrel {
        #[event("BarrelWeighed")]
        fn weighed(&mut self, kilograms: u64) {
            self.price += &kilograms.to_string();
        }
    }
}

/// A field has another name, and another one was not there.
mod renamed {
    use super::*;

    #[aggregate]
    pub struct Barrel {
        pub price: u64,
        pub owner: String,
        pub status: Status,
        pub guard: Option<Uuid>,
    }

    #[aggregate]
    impl Barrel {
        #[event("BarrelWeighed")]
        fn weighed(&mut self, kilograms: u32, scale: String) {
            self.price += u64::from(kilograms);
            self.owner = scale;
        }
    }
}

/// The same as `broken`, as one does it.
mod second {
    use super::*;
    use minos::Fields;

    #[aggregate(version = 2, upcast = from_v1)]
    pub struct Barrel {
        pub price: String,
        pub owner: String,
        pub status: Status,
        pub keeper: Option<Uuid>,
    }

    fn from_v1(fields: &mut Fields) -> Result<()> {
        if let Some(price) = fields.take::<u64>("price")? {
            fields.set("price", &format!("{price} EUR"))?;
        }
        Ok(())
    }

    #[aggregate]
    impl Barrel {
        #[event("BarrelWeighed", version = 2, upcast = weighed_v1)]
        fn weighed(&mut self, grams: u64) {
            self.price += &format!(" for {grams}");
        }
    }

    #[derive(Deserialize)]
    pub struct WeighedV1 {
        kilograms: u64,
    }

    fn weighed_v1(old: WeighedV1) -> BarrelWeighed {
        BarrelWeighed { grams: old.kilograms * 1_000 }
    }
}

/// An upcaster that forgets that an update holds some of the fields only, and one that takes something else.
mod careless {
    use super::*;
    use minos::Fields;

    #[aggregate(version = 2, upcast = from_v1)]
    pub struct Barrel {
        pub price: String,
        pub owner: String,
        pub status: Status,
        pub keeper: Option<Uuid>,
    }

    fn from_v1(fields: &mut Fields) -> Result<()> {
        let price: u64 = fields.take("price")?.ok_or_else(|| Error::internal("there is no price"))?;
        fields.set("price", &format!("{price} EUR"))
    }

    #[aggregate]
    impl Barrel {
        #[event("BarrelWeighed", version = 2, upcast = weighed_v1)]
        fn weighed(&mut self, grams: u64) {
            self.price += &format!(" for {grams}");
        }
    }

    #[derive(Deserialize)]
    pub struct WeighedV1 {
        kilogrammes: u64,
    }

    fn weighed_v1(old: WeighedV1) -> BarrelWeighed {
        BarrelWeighed { grams: old.kilogrammes * 1_000 }
    }
}

/// What the modules of this file have.
fn types(module: &str) -> Vec<&'static Persisted> {
    let module = format!("{}::{module}", module_path!());
    inventory::iter::<Persisted>.into_iter().filter(|persisted| persisted.module == module).collect()
}

fn check(path: &Path, module: &str) -> Result<(), EventsLockError> {
    check_persisted(path, &types(module), &[], false)
}

/// What is wrong, without the places in this file.
fn told(result: Result<(), EventsLockError>) -> String {
    let told = result.unwrap_err().to_string();
    let lines =
        told.lines().skip(1).map(|line| line.split_once(" (tests/testing/lock.rs:").map_or(line, |(line, _)| line).to_owned() + "\n");
    lines.collect()
}

/// The file as the first version writes it.
fn locked(path: &Path) -> String {
    check_persisted(path, &types("first"), &[], true).unwrap();
    fs::read_to_string(path).unwrap()
}

#[test]
fn what_breaks_is_told_until_there_is_a_version_and_what_reads_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.lock");
    let new = check(&path, "first").unwrap_err();
    assert!(
        matches!(new, EventsLockError::Changed { .. }) && new.to_string().contains("`MINOS_EVENTS_LOCK=write cargo test` writes it"),
        "{new}"
    );
    let first = locked(&path);
    let (_, body) = first.split_once("\n\n").unwrap();
    assert_eq!(
        body,
        r#"Barrel v1
  keeper: optional string
  owner: string
  price: u64
  status: enum
    Open
    Shipped: struct
      by: string
      stops: list of u16
  sample {"price":0,"owner":"","status":"Open","keeper":"00000000-0000-4000-8000-000000000005"}
  sample {"price":0,"owner":"","status":{"Shipped":{"by":"","stops":[0]}},"keeper":"00000000-0000-4000-8000-000000000008"}

Barrel.BarrelWeighed v1
  kilograms: u32
  sample {"kilograms":0}
"#
    );
    check(&path, "first").unwrap();

    let expected = r#"Barrel v1
- price: u64
+ price: string
  it has another type
- status.Shipped: struct
  a variant is gone
  {"price":0,"owner":"","status":"Open","keeper":"00000000-0000-4000-8000-000000000005"}
  cannot be read: invalid type: integer `0`, expected a string at line 1 column 10
  help: write `#[aggregate(version = 2, upcast = from_v1)]`, with a `fn from_v1(fields: &mut Fields) -> Result<()>`; a new field may say `#[serde(default)]` or be an `Option` instead, and a renamed one says `#[minos(was = "old")]`
Barrel.BarrelWeighed v1
- kilograms: u32
+ kilograms: u64
  it has another type
  help: write `#[event("BarrelWeighed", version = 2, upcast = from_v1)]`, with a `fn from_v1` from the event as it was to `BarrelWeighed`; a new parameter may be an `Option` instead, and a renamed one says `#[minos(was = "old")]`
"#;
    assert_eq!(told(check(&path, "broken")), expected);
    let refused = check_persisted(&path, &types("broken"), &[], true);
    assert!(matches!(refused, Err(EventsLockError::Breaking { .. })), "it is not written over");
    assert_eq!(fs::read_to_string(&path).unwrap(), first);

    // What it says to do is done.
    let new = told(check(&path, "second"));
    assert!(new.starts_with("Barrel v2\n+  keeper: optional string\n") && new.contains("+  sample {\"$v\":2,\"grams\":0}"), "{new}");
    check_persisted(&path, &types("second"), &[], true).unwrap();
    check(&path, "second").unwrap();
    let both = fs::read_to_string(&path).unwrap();
    assert!(
        both.contains("Barrel v1\n") && both.contains("  sample {\"kilograms\":0}\n") && both.contains("Barrel.BarrelWeighed v2\n"),
        "{both}"
    );

    // There is no way back.
    assert!(told(check(&path, "first")).contains("  it was of version 2 already, and what is stored since then could not be read\n"));
    let gone = told(check_persisted(&path, &[], &[], false));
    assert!(gone.contains("Barrel.BarrelWeighed\n  it is gone") && gone.contains("`#[aggregate(name = \"Barrel\")]`"), "{gone}");
}

#[test]
fn what_can_be_read_without_a_version_is_only_written_and_old_samples_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.lock");
    let first = locked(&path);
    let more = check(&path, "more").unwrap_err();
    assert!(matches!(more, EventsLockError::Changed { .. }), "{more}");
    let more = more.to_string();
    for line in [
        "-  owner: string",
        "+  holder: string",
        "+  marks: list of string",
        "-  keeper: optional string",
        "+  weight: u32",
        "+    Lost: string",
    ] {
        assert!(more.lines().any(|told| told == line), "{line} is not told: {more}");
    }
    check_persisted(&path, &types("more"), &[], true).unwrap();
    check(&path, "more").unwrap();
    let now = fs::read_to_string(&path).unwrap();
    for sample in first.lines().filter(|line| line.starts_with("  sample ")) {
        assert!(now.contains(sample), "{sample} has to stay: {now}");
    }
    assert!(now.contains("  sample {\"weight\":0,\"scale\":\"\"}"), "{now}");
}

#[test]
fn what_is_sensitive_is_kept_as_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.lock");
    locked(&path);
    let hidden = check(&path, "hidden").unwrap_err();
    assert!(matches!(hidden, EventsLockError::Changed { .. }), "what was in the clear is read: {hidden}");
    check_persisted(&path, &types("hidden"), &[], true).unwrap();
    check(&path, "hidden").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("  owner: sensitive string\n") && text.contains(r#""owner":{"$sensitive":""},"#), "{text}");
    assert!(text.contains(r#"sample {"kilograms":{"$sensitive":0}}"#), "{text}");
    assert!(told(check(&path, "first")).contains("cannot be read"), "there is no way back");
    check_persisted(&path, &types("hidden::moved"), &[], true).unwrap();
    check(&path, "hidden::moved").unwrap();
}

#[test]
fn what_is_read_wrong_though_it_has_a_version_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.lock");
    locked(&path);
    let renamed = told(check(&path, "renamed"));
    assert!(renamed.contains("- keeper: optional string\n  a field is gone and one like it is new, as if it were renamed\n"), "{renamed}");
    assert!(renamed.contains("+ scale: string\n  {\"kilograms\":0}\n  cannot be read: missing field `scale`"), "{renamed}");
    let careless = told(check(&path, "careless"));
    assert!(careless.contains("as an update of `owner` alone: its upcaster from version 1: there is no price"), "{careless}");
    assert!(careless.contains("cannot be read: missing field `kilogrammes`"), "{careless}");
    assert!(
        careless.contains("  help: the upcaster from version 1, and those behind it, have to read what version 1 has stored\n"),
        "{careless}"
    );
    fs::write(&path, "Barrel v1\n  price: u64\nnonsense\n").unwrap();
    assert!(matches!(check(&path, "first"), Err(EventsLockError::Text { line: 3, .. })));
}

/// Of a type that tells nothing before it is read.
mod tagged {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    pub enum Goods {
        Wine { year: u16 },
    }

    #[aggregate]
    pub struct Cellar {
        pub goods: Goods,
        pub cool: bool,
    }
}

#[test]
fn what_has_no_sample_says_so_until_one_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.lock");
    check_persisted(&path, &types("tagged"), &[], true).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("Cellar v1\n  cool: unknown\n  goods: any\n  no sample, for no sample of `") && text.contains("at `goods`: "),
        "{text}"
    );
    check(&path, "tagged").unwrap();

    let cellar = tagged::Cellar { goods: tagged::Goods::Wine { year: 1999 }, cool: true };
    let given = [minos::__private::given_sample("Cellar", &cellar).unwrap()];
    let new = told(check_persisted(&path, &types("tagged"), &given, false));
    assert!(new.contains("-  no sample, for") && new.contains(r#"+  sample {"goods":{"kind":"Wine","year":1999},"cool":true}"#), "{new}");
    check_persisted(&path, &types("tagged"), &given, true).unwrap();
    check_persisted(&path, &types("tagged"), &given, false).unwrap();
    check(&path, "tagged").unwrap();

    let unknown = [minos::__private::given_sample("Celar", &1).unwrap()];
    let refused = check_persisted(&path, &types("tagged"), &unknown, false).unwrap_err().to_string();
    assert_eq!(refused, "a sample is given of `Celar`, which is nothing that this crate stores; that is: Cellar");
}

/// Of sets, and under a name in which they are changed.
mod sets {
    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    pub struct Bottle {
        pub litres: f64,
    }

    #[aggregate]
    pub struct Rack {
        pub bottles: EntitySet<Bottle>,
        #[minos(was = "labels")]
        pub tags: ValueSet<String>,
    }
}

#[test]
fn sets_are_what_is_in_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.lock");
    check_persisted(&path, &types("sets"), &[], true).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("Rack v1\n  bottles: map of string to struct\n    litres: f64\n  tags: list of string\n  sample {"), "{text}");
    fs::write(&path, text.replace("tags", "labels")).unwrap();
    assert!(matches!(check(&path, "sets"), Err(EventsLockError::Changed { .. })), "an old name of a set is read");
}

/// What the samples promise is so: rows of the first version load as what they are in the second.
#[test]
fn old_rows_load() {
    use first::BarrelEvents as _;
    let service = TestService::new();
    let barrel = || first::Barrel { price: 3, owner: "ada".to_owned(), status: Status::Open, keeper: None };
    let uuid = service
        .run(async |cx| {
            let mut barrel = first::Barrel::create(cx, barrel()).await?;
            barrel.weighed(2);
            barrel.owner = "bob".to_owned();
            barrel.save(cx).await?;
            Ok(barrel.uuid())
        })
        .unwrap();
    let (price, owner) = service
        .run(async |cx| {
            let barrel = second::Barrel::get(cx, uuid).await?;
            Ok((barrel.price.clone(), barrel.owner.clone()))
        })
        .unwrap();
    assert_eq!((price.as_str(), owner.as_str()), ("3 EUR for 2000", "bob"));
    assert_eq!(service.run(async |cx| Ok(more::Cask::get(cx, uuid).await?.holder.clone())).unwrap(), "bob");
    service.run(async |cx| broken::Barrel::get(cx, uuid).await.map(drop)).unwrap_err();
}
