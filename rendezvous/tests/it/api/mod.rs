//! The JSON under `/api/v1`, through the router.

mod pairs;
