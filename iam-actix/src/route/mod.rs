//! What the application says about its routes: the policies on the way to one, its path parameters, and its resources.

pub(crate) mod chain;
pub(crate) mod hidden;
pub(crate) mod params;
pub(crate) mod resource;
