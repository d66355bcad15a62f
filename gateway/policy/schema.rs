use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::file::File;

/// The JSON Schema of a policy file, made from the types that read it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    schema.insert("title".to_owned(), "Cloister policy file".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_sections_that_are_read() {
        let schema = schema();
        let sections: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(sections, File::SECTIONS);
        assert_eq!(schema["additionalProperties"], false);
        assert!(schema.get("required").is_none());
        let required = &schema["$defs"]["RouteEntry"]["required"];
        assert_eq!(*required, serde_json::json!(["id", "match", "upstream", "auth"]));
    }
}
