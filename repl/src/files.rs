//! Which files a command is about.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The files that the paths name: themselves, or all `.hd` files below a folder, hidden ones aside.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here[..] } else { paths };
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let mut below = BTreeSet::new();
        let mut folders = vec![path.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|e| (folder.clone(), e))?;
            for entry in entries {
                let entry = entry.map_err(|e| (folder.clone(), e))?;
                let path = entry.path();
                let kind = entry.file_type().map_err(|e| (path.clone(), e))?;
                if entry.file_name().to_string_lossy().starts_with('.') {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "hd") {
                    below.insert(
                        path.strip_prefix("./")
                            .map(Path::to_path_buf)
                            .unwrap_or(path),
                    );
                }
            }
        }
        found.extend(below);
    }
    Ok(found)
}
