//! Triages that a caller asked to keep, so that feedback can be joined to what was said.

use super::{Store, StoreError};

impl Store {
    /// Keeps a triage as it was answered. A second record of an id changes nothing: what was answered stays what was answered.
    pub async fn record_triage(&self, id: &str, created_at: &str, text: &str, triage_json: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO triages (id, created_at, text, triage) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
        sqlx::query(sql).bind(id).bind(created_at).bind(text).bind(triage_json).execute(&self.write).await?;
        Ok(())
    }

    /// The JSON that was recorded.
    pub async fn triage(&self, id: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT triage FROM triages WHERE id = ?1").bind(id).fetch_optional(&self.read).await?)
    }
}
