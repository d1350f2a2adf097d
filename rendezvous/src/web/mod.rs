//! The dashboard: pages and forms.

use axum::Router;

use crate::app::App;

/// Every page, form and asset.
pub fn router(app: App) -> Router {
    Router::new().with_state(app)
}
