//! Recipes: TOML files with `--set key=value` on top.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    #[error("{}: {source}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}: {why}", .path.display())]
    Broken { path: PathBuf, why: String },
    #[error("--set {setting}: {why}")]
    Setting { setting: String, why: String },
}

/// Reads a recipe and lays the settings (`section.key=value`) over it. Keys that the recipe's type does not know are errors.
///
/// # Errors
/// An unreadable or broken file, a setting without `=`, an unknown key, a value of the wrong type.
pub fn read_recipe<T: DeserializeOwned>(path: &Path, settings: &[String]) -> Result<T, RecipeError> {
    let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Io { path: path.to_owned(), source })?;
    let broken = |why: String| RecipeError::Broken { path: path.to_owned(), why };
    recipe_of(text.parse().map_err(|e: toml::de::Error| broken(e.to_string()))?, path, settings)
}

/// As [`read_recipe`], of a table that stands in the file `path`.
///
/// # Errors
/// As [`read_recipe`].
pub fn recipe_of<T: DeserializeOwned>(mut table: toml::Table, path: &Path, settings: &[String]) -> Result<T, RecipeError> {
    let broken = |why: String| RecipeError::Broken { path: path.to_owned(), why };
    for setting in settings {
        set(&mut table, setting).map_err(|why| RecipeError::Setting { setting: setting.clone(), why })?;
    }
    table.try_into().map_err(|e: toml::de::Error| broken(e.message().to_owned()))
}

fn set(table: &mut toml::Table, setting: &str) -> Result<(), String> {
    let (key, value) = setting.split_once('=').ok_or("write it as key=value")?;
    // What does not read as a TOML value is a bare string.
    let parsed: Option<toml::Table> = format!("v = {value}").parse().ok();
    let value = parsed.and_then(|mut t| t.remove("v")).unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut at = table;
    let mut parts = key.trim().split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.insert(part.to_owned(), value);
            break;
        }
        at = at.entry(part).or_insert_with(|| toml::Table::new().into()).as_table_mut().ok_or_else(|| format!("{part} is no section"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Recipe {
        name: String,
        model: Model,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Model {
        alpha: f64,
    }

    #[test]
    fn settings_lie_over_the_file_and_unknown_keys_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.toml");
        std::fs::write(&path, "name = 'a'\n[model]\nalpha = 1.0").unwrap();
        let r: Recipe = read_recipe(&path, &["model.alpha=0.25".into(), "name=b c".into()]).unwrap();
        assert_eq!((r.name.as_str(), r.model.alpha), ("b c", 0.25));
        for (setting, expect) in
            [("model.alhpa=1", "alhpa"), ("alpha", "key=value"), ("name.x=1", "no section"), ("model.alpha=many", "string")]
        {
            let error = read_recipe::<Recipe>(&path, &[setting.into()]).unwrap_err().to_string();
            assert!(error.contains(expect), "{setting}: {error}");
        }
    }
}
