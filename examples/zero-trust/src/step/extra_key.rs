//! Restores the gateway's key file when a step ends early.

use std::io;

use ory_dev::oathkeeper::KeyFile;

/// A key that a step has appended to the gateway's file.
///
/// The file may be a real gateway's. So a step that ends before it has replaced the old key removes its own key again, on drop.
pub(super) struct ExtraKey {
    file: KeyFile,
    kid: Option<String>,
}

impl ExtraKey {
    /// Appends a key. The gateway signs with it once it has read the file again.
    pub(super) fn append(file: KeyFile) -> io::Result<Self> {
        let kid = file.append_rsa().map_err(io::Error::other)?;
        Ok(Self { file, kid: Some(kid) })
    }

    /// Removes the old key. The appended key stays.
    pub(super) fn replace(mut self, old_kid: &str) -> io::Result<()> {
        self.file.remove(old_kid).map_err(io::Error::other)?;
        self.kid = None;
        Ok(())
    }
}

impl Drop for ExtraKey {
    fn drop(&mut self) {
        if let Some(kid) = self.kid.take() {
            // The error that ended the step is reported, not this one.
            let _ = self.file.remove(&kid);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use uuid::Uuid;

    use super::*;

    fn key_file() -> (KeyFile, String) {
        let file = KeyFile::at(env::temp_dir().join(format!("{}.jwks.json", Uuid::new_v4())));
        file.ensure().unwrap();
        let old = file.kids().unwrap().remove(0);
        (file, old)
    }

    #[test]
    fn step_that_ends_before_its_time_leaves_the_file_as_it_was() {
        let (file, old) = key_file();

        let ended: io::Result<()> = (|| {
            let _extra = ExtraKey::append(file.clone())?;
            assert_eq!(file.kids().unwrap().len(), 2);
            Err(io::ErrorKind::TimedOut.into())
        })();

        assert!(ended.is_err());
        assert_eq!(file.kids().unwrap(), [old]);
        fs::remove_file(file.path()).unwrap();
    }

    #[test]
    fn key_that_replaced_the_old_one_stays() {
        let (file, old) = key_file();
        let extra = ExtraKey::append(file.clone()).unwrap();
        let new = file.kids().unwrap().remove(1);

        extra.replace(&old).unwrap();

        assert_eq!(file.kids().unwrap(), [new]);
        fs::remove_file(file.path()).unwrap();
    }
}
