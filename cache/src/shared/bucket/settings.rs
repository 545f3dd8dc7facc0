//! What reaches a bucket: keys, region, address. All of it comes from the variables that other programs for S3 read too; ddpipe
//! has no settings for secrets.

use rusty_s3::{Bucket, Credentials, UrlStyle};
use std::time::Duration;

/// How long a store may say nothing before a request is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// How to reach a bucket.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key and its secret.
    pub credentials: Credentials,
    /// Where the bucket is.
    pub region: String,
    /// The store's address, where it is not that of Amazon.
    pub endpoint: Option<String>,
    /// How long the store may say nothing before a request is given up.
    pub silence: Duration,
}

impl Settings {
    /// Those of the environment, or of anything else that has values by their names.
    ///
    /// # Errors
    /// A secret is missing, or the address would send everything in the clear; in words for people.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let value = |name: &str| variable(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
        let (Some(key), Some(secret)) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")) else {
            return Err(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set\n  export them; of a profile or of a login \
                        `eval \"$(aws configure export-credentials --format env)\"` does it"
                    .into(),
            );
        };
        let credentials = match value("AWS_SESSION_TOKEN") {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        };
        let endpoint = value("AWS_ENDPOINT_URL_S3").or_else(|| value("AWS_ENDPOINT_URL"));
        let endpoint = endpoint.or_else(|| value("AWS_ENDPOINT"));
        if let Some(address) = endpoint.as_ref().filter(|endpoint| !endpoint.contains("://")) {
            return Err(format!("the store's address {address} does not begin with https:// or http://"));
        }
        let in_the_clear = value("AWS_ALLOW_HTTP").is_some_and(|value| value == "1" || value == "true");
        if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| endpoint.starts_with("http://"))
            && !in_the_clear
        {
            return Err(format!(
                "{endpoint} is not https\n  set AWS_ALLOW_HTTP=true if everybody may read and change what is on its way"
            ));
        }
        let region = value("AWS_REGION").or_else(|| value("AWS_DEFAULT_REGION"));
        Ok(Settings { credentials, region: region.unwrap_or_else(|| "us-east-1".into()), endpoint, silence: SILENCE })
    }

    /// The bucket of this name.
    pub(super) fn bucket(&self, name: &str) -> Result<Bucket, String> {
        let (endpoint, style) = match &self.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None => {
                let china = if self.region.starts_with("cn-") { ".cn" } else { "" };
                let endpoint = format!("https://s3.{}.amazonaws.com{china}", self.region);
                // The certificate is not for names with dots in them.
                (endpoint, if name.contains('.') { UrlStyle::Path } else { UrlStyle::VirtualHost })
            }
        };
        let told = |error: &dyn std::fmt::Display| format!("the store's address {endpoint}: {error}");
        let address = format!("{}/", endpoint.trim_end_matches('/'));
        let address = address.parse().map_err(|error| told(&error))?;
        Bucket::new(address, style, name.to_string(), self.region.clone()).map_err(|error| told(&error))
    }
}
