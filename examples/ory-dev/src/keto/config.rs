//! Reads `keto.yml` and the permission file.

use std::{net::SocketAddr, path::Path};

use iam_opl::{CheckLimits, Mode, Namespaces};

use crate::config::{ConfigError, Document, Options, Vars, read_text};

/// How a [`Keto`](super::Keto) listens, what it limits and which namespaces it has.
#[derive(Clone, Debug)]
pub struct KetoConfig {
    pub(super) read: SocketAddr,
    pub(super) write: SocketAddr,
    pub(super) opl: SocketAddr,
    pub(super) namespaces: Namespaces,
    pub(super) limits: CheckLimits,
    pub(super) max_depth: u32,
    pub(super) max_batch: usize,
    warnings: Vec<String>,
}

impl KetoConfig {
    pub(super) fn read(path: &Path, vars: &Vars) -> Result<Self, ConfigError> {
        Self::from_document(&Document::read(path, vars)?)
    }

    pub(super) fn from_document(document: &Document) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let mut root = document.options()?;
        for (key, why) in HARMLESS {
            root.harmless(key, why);
        }
        root.version(&mut warnings)?;
        root.value("$schema");
        let dsn = root.string("dsn")?;
        if root.required("dsn", dsn)? != "memory" {
            return Err(root.refuse("dsn", "only `memory` is supported by this stand-in"));
        }

        let (namespaces, mode) = namespaces(root.section("namespaces")?, &mut warnings)?;
        let mut limit = root.section("limit")?;
        let max_depth = number(&mut limit, "max_read_depth", iam_opl::DEFAULT_DEPTH)?;
        let width = number(&mut limit, "max_read_width", iam_opl::DEFAULT_WIDTH)?;
        let max_batch = number(&mut limit, "max_batch_check_size", DEFAULT_BATCH)?;
        limit.harmless("batch_check_max_parallelization", "a batch is checked in order");
        limit.finish(&mut warnings)?;

        let mut serve = root.section("serve")?;
        let read = listener(&mut serve, "read", 4466, &mut warnings)?;
        let write = listener(&mut serve, "write", 4467, &mut warnings)?;
        let opl = listener(&mut serve, "opl", 4469, &mut warnings)?;
        serve.harmless("metrics", "this stand-in has no metrics, nothing listens there");
        serve.finish(&mut warnings)?;
        root.finish(&mut warnings)?;

        Ok(Self {
            read,
            write,
            opl,
            namespaces,
            limits: CheckLimits::default().depth(max_depth).width(width).mode(mode),
            max_depth,
            max_batch: usize::try_from(max_batch).unwrap_or(usize::MAX),
            warnings,
        })
    }

    /// Sets the port for checks, expands and lists. Defaults to the file's, else 4466; 0 lets the system choose.
    #[must_use]
    pub fn read_port(mut self, port: u16) -> Self {
        self.read.set_port(port);
        self
    }

    /// Sets the port for writes. Defaults to the file's, else 4467; 0 lets the system choose.
    #[must_use]
    pub fn write_port(mut self, port: u16) -> Self {
        self.write.set_port(port);
        self
    }

    /// Sets the port for checking the syntax of permission files. Defaults to the file's, else 4469; 0 lets the system
    /// choose.
    #[must_use]
    pub fn opl_port(mut self, port: u16) -> Self {
        self.opl.set_port(port);
        self
    }

    /// Lets the system choose every port, for tests.
    #[must_use]
    pub fn any_ports(self) -> Self {
        self.read_port(0).write_port(0).opl_port(0)
    }

    /// Returns one line for each option that is set and has no effect here.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the namespaces of the permission file.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }
}

fn namespaces(
    mut section: Options<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Namespaces, Mode), ConfigError> {
    let location = section.file_url("location")?;
    let file = section.required("location", location)?;
    let mode = match section.boolean("experimental_strict_mode")? {
        Some(true) => Mode::Strict,
        Some(false) | None => Mode::Lenient,
    };
    section.finish(warnings)?;

    let namespaces = iam_opl::parse(&read_text(&file)?).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        ConfigError::Parse {
            file: file.clone(),
            problem: lines.join("; "),
        }
    })?;
    warnings.extend(namespaces.mixed_operators().iter().map(|place| {
        format!(
            "`{}`: {place}: `&&` behind `||` without parentheses: Keto reads from left to right, unlike TypeScript",
            file.display()
        )
    }));
    Ok((namespaces, mode))
}

fn listener(
    serve: &mut Options<'_>,
    name: &'static str,
    port: u16,
    warnings: &mut Vec<String>,
) -> Result<SocketAddr, ConfigError> {
    let mut section = serve.section(name)?;
    let address = section.address(port)?;
    section.finish(warnings)?;
    Ok(address)
}

fn number(section: &mut Options<'_>, key: &'static str, default: u32) -> Result<u32, ConfigError> {
    let number = section.number(key, 1..=u64::from(u16::MAX))?;
    Ok(number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(default))
}

/// The default limit of checks per batch, as in Keto.
const DEFAULT_BATCH: u32 = 10;

const HARMLESS: &[(&str, &str)] = &[
    ("clients", "nothing is fetched"),
    ("log", "the process that holds it logs"),
    ("profiling", "there is no profile"),
    ("secrets", "page tokens are valid until the process ends"),
    ("tracing", "there are no traces"),
];

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    /// A folder with a permission file and a configuration.
    struct Folder(PathBuf);

    impl Folder {
        fn with(opl: &str, yaml: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("ory-dev-keto-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("n.ts"), opl).unwrap();
            fs::write(folder.join("keto.yml"), yaml).unwrap();
            Self(folder)
        }

        fn read(&self) -> Result<KetoConfig, ConfigError> {
            KetoConfig::read(&self.0.join("keto.yml"), &Vars::new(&self.0, &self.0))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const USER: &str = "class user implements Namespace {}";
    const BASE: &str = "dsn: memory\nnamespaces: { location: 'file://${CONFIG}/n.ts' }\n";

    fn refused(opl: &str, yaml: &str) -> String {
        Folder::with(opl, yaml).read().unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_files_are_read_and_warn_of_what_has_no_effect() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
        let file = format!("{folder}/keto.yml");

        let config = KetoConfig::read(file.as_ref(), &Vars::new(folder, folder)).unwrap();

        assert_eq!(config.read.to_string(), "127.0.0.1:4466");
        assert_eq!(config.write.to_string(), "127.0.0.1:4467");
        assert_eq!(config.opl.to_string(), "127.0.0.1:4469");
        assert_eq!((config.max_depth, config.max_batch), (5, 10));
        assert!(config.namespaces().has_relation_or_permit("orders", "view"));
        let warned = config.warnings().join("\n");
        assert!(
            warned.contains("`serve.metrics`") && warned.contains("`log`"),
            "{warned}"
        );
        assert_eq!(config.warnings().len(), 2);
    }

    #[test]
    fn limits_and_strict_mode_are_read() {
        let yaml =
            "dsn: memory\nnamespaces: { location: 'file://${CONFIG}/n.ts', experimental_strict_mode: true }
limit: { max_read_depth: 7, max_read_width: 8, max_batch_check_size: 9 }";

        let config = Folder::with(USER, yaml).read().unwrap();

        assert_eq!(
            config.limits,
            CheckLimits::default().depth(7).width(8).mode(Mode::Strict)
        );
        assert_eq!((config.max_depth, config.max_batch), (7, 9));
        assert!(config.warnings().is_empty());
    }

    #[test]
    fn an_option_that_is_not_supported_is_an_error_with_its_path() {
        for (yaml, path) in [
            ("serve: { read: { tls: {} } }", "`serve.read.tls`"),
            (
                "serve: { read: { cors: { enabled: true } } }",
                "`serve.read.cors`",
            ),
            ("serve: { read: { host: 0.0.0.0 } }", "`serve.read.host`"),
            ("serve: { other: {} }", "`serve.other`"),
            ("limit: { max_read_depth: 0 }", "`limit.max_read_depth`"),
            (
                "limit: { max_batch_check_size: 65536 }",
                "`limit.max_batch_check_size`",
            ),
            (
                "limit: { max_batch_check_size: '10' }",
                "`limit.max_batch_check_size`",
            ),
            ("limit: { other: 1 }", "`limit.other`"),
            ("other: 1", "`other`"),
        ] {
            let err = refused(USER, &format!("{BASE}{yaml}"));
            assert!(err.contains("keto.yml") && err.contains(path), "{yaml}: {err}");
        }
        assert!(refused(USER, &BASE.replace("memory", "postgres://x")).contains("only `memory`"));
        assert!(refused(USER, "dsn: memory").contains("`namespaces.location`"));
        assert!(refused(USER, "dsn: memory\nnamespaces: [{ name: user }]").contains("`namespaces`"));
        assert!(refused(USER, &BASE.replace("file://", "https://")).contains("`namespaces.location`"));
        assert!(refused(USER, &BASE.replace("dsn: memory", "")).contains("`dsn`"));
    }

    #[test]
    fn operators_that_typescript_reads_otherwise_are_a_warning_with_their_place() {
        let permit =
            "(ctx) => this.related.a.includes(ctx.subject) || this.related.a.includes(ctx.subject) &&";
        let opl = format!(
            "class user implements Namespace {{ related: {{ a: user[] }} permits = {{
p: {permit} this.related.a.includes(ctx.subject) }} }}"
        );

        let config = Folder::with(&opl, BASE).read().unwrap();

        assert_eq!(config.warnings().len(), 1);
        assert!(
            config.warnings()[0].contains("n.ts`: line 2, column 90"),
            "{:?}",
            config.warnings()
        );
    }

    #[test]
    fn mistakes_in_the_permission_file_stop_the_start_with_their_places() {
        let err = refused(
            "class user implements Namespace { related: { a: nope[] b: neither[] } }",
            BASE,
        );

        assert!(err.contains("n.ts"), "{err}");
        assert!(
            err.contains("line 1, column 49: namespace \"nope\" was not declared"),
            "{err}"
        );
        assert!(err.contains("neither"), "{err}");
        assert!(refused(USER, &BASE.replace("n.ts", "absent.ts")).contains("absent.ts"));
    }
}
