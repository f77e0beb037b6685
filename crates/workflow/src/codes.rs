//! Every code that a mistake or a doubt in a workflow is reported under, with what it means.

use std::fmt;

macro_rules! codes {
    ($( $variant:ident $id:literal $explanation:literal; )+) => {
        /// What kind of mistake a [`Diagnostic`](crate::Diagnostic) reports. Its text is
        /// `supermoe::workflow::<id>`; the documentation of each variant explains it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $( #[doc = concat!("`", $id, "`: ", $explanation)] $variant, )+
        }

        impl Code {
            /// All codes, in the order of this file.
            pub const ALL: &[Code] = &[$( Code::$variant, )+];

            /// The last part of the code's text: `unknown_key`.
            pub fn id(self) -> &'static str {
                match self { $( Code::$variant => $id, )+ }
            }

            /// One line that says what it means.
            pub fn explanation(self) -> &'static str {
                match self { $( Code::$variant => $explanation, )+ }
            }
        }
    };
}

codes! {
    // the file
    UnreadableFile "unreadable_file" "A file cannot be read.";
    NotUtf8 "not_utf8" "A file holds bytes that are not UTF-8.";
    FileTooLarge "file_too_large" "A file is larger than 16 MiB.";
    YamlSyntax "yaml_syntax" "The text is not YAML.";
    SeveralDocuments "several_documents" "A file holds more than one YAML document.";
    TooDeep "too_deep" "Maps and lists are nested more than 64 deep.";
    TooManyAliases "too_many_aliases" "Aliases unfold to more than 100,000 values.";
    UnknownAlias "unknown_alias" "An alias names no anchor that stands before it.";
    MergeKey "merge_key" "`<<` stands as a key: YAML 1.2 has no merge keys.";
    UnsupportedTag "unsupported_tag" "A YAML tag is none of !!str, !!int, !!float, !!bool, !!null, !!map, !!seq.";
    DuplicateKey "duplicate_key" "A key stands twice in one map.";
    InvalidKey "invalid_key" "A map's key is a list, a map or nothing.";
    InvalidNumber "invalid_number" "A number is not finite or does not fit.";
    // shape
    EmptyWorkflow "empty_workflow" "The file holds no workflow.";
    UnknownKey "unknown_key" "A key that has no meaning at this place.";
    MissingKey "missing_key" "A key that must be there is not.";
    WrongKind "wrong_kind" "A value is of another kind (text, number, list, map …) than what the place takes.";
    InvalidName "invalid_name" "A name breaks the rules for names.";
    NoStages "no_stages" "A workflow has no stage.";
    OutOfRange "out_of_range" "A number is outside of what the place takes.";
    InvalidDuration "invalid_duration" "A text is no duration such as 30s, 5m, 2h or 1d.";
    InvalidBackoff "invalid_backoff" "A text is no backoff such as 5s..1m.";
    InvalidSize "invalid_size" "A text is no size such as 512MiB.";
    // params
    UnknownParam "unknown_param" "`--set`, a params file or an expression names a param that the workflow does not have.";
    ParamType "param_type" "A param is given a value of another type than its default.";
    InvalidSet "invalid_set" "The text of `--set` is no value.";
    // expressions
    ExpressionSyntax "expression_syntax" "The text in `${{ }}` is no expression.";
    UnclosedExpression "unclosed_expression" "`${{` has no `}}`.";
    UnknownName "unknown_name" "An expression names something that does not exist.";
    UnknownVariable "unknown_variable" "An expression names an environment variable that `env` does not declare.";
    ExpressionType "expression_type" "An operator or a text is given a value that it does not take.";
    ExpressionNotAllowed "expression_not_allowed" "An expression, or a name in it, stands where it cannot be known.";
    RunNeedsNoCache "run_needs_no_cache" "`run.` stands in `with` of a stage that does not say `cache: false`.";
    DateMissing "date_missing" "`schedule.` is used and no logical date is given.";
    // environment and secrets
    InvalidVariable "invalid_variable" "A text is no name of an environment variable, or a reserved one.";
    UnknownSecret "unknown_secret" "A stage uses a secret that the workflow does not declare.";
    SecretIsEnv "secret_is_env" "A name stands under both `secrets` and `env`.";
    DuplicateItem "duplicate_item" "An item stands twice in a list of names.";
    // schedule
    InvalidCron "invalid_cron" "A text is no cron pattern.";
    UnknownTimezone "unknown_timezone" "A text is no IANA time zone.";
    UnknownChoice "unknown_choice" "A text is none of the words that the place takes.";
    // matrix
    EmptyAxis "empty_axis" "An axis of a matrix has no values, or all cells are excluded.";
    DuplicateAxisValue "duplicate_axis_value" "A value stands twice on one axis, or two cells are the same.";
    UnknownAxis "unknown_axis" "`exclude` names an axis that the matrix does not have.";
    TooManyCells "too_many_cells" "A matrix has more than 10,000 cells, or a workflow more than 100,000.";
    ExcludeMatchesNothing "exclude_matches_nothing" "Warning: an entry of `exclude` takes no cell away.";
    // plugins and their params
    UnknownPlugin "unknown_plugin" "`uses` names a plugin that does not exist.";
    UnknownVariant "unknown_variant" "The param that chooses a variant, for example `model`, has a value that no variant has.";
    UnavailableVariant "unavailable_variant" "The param that chooses a variant, for example `model`, has a value that this plugin cannot use.";
    InvalidPluginSchema "invalid_plugin_schema" "The JSON Schema in a plugin's manifest is not valid.";
    UnknownPluginParam "unknown_plugin_param" "`with` holds a key that the plugin does not take.";
    MissingPluginParam "missing_plugin_param" "`with` lacks a key that the plugin needs.";
    PluginParam "plugin_param" "A value in `with` is not what the plugin takes.";
    InvalidOutputs "invalid_outputs" "The param that declares output ports holds something else than names with port types.";
    // wiring
    UnknownStage "unknown_stage" "An input or `needs` names a stage that does not exist.";
    UnknownPort "unknown_port" "A port that the plugin does not have.";
    BarePath "bare_path" "A path is written without `./`.";
    PathNotFound "path_not_found" "An input path does not exist.";
    PathKind "path_kind" "An input path or URL is a file where a folder is taken, or the other way round.";
    InvalidInput "invalid_input" "An input's text is no stage.port, path, URL or ref.";
    UrlInput "url_input" "The URL of an input is not of a form that is read.";
    UnknownScheme "unknown_scheme" "The store's scheme is none that a store can be kept in.";
    MissingInput "missing_input" "A required input is not given.";
    AbsentInput "absent_input" "A required input comes from a cell that does not exist or is switched off.";
    PortType "port_type" "An output of one type is wired to an input of another.";
    OneArtifact "one_artifact" "Several artifacts are given to an input that takes one.";
    AxisOnlyUpstream "axis_only_upstream" "An upstream stage has an axis that the stage lacks: which cell is meant is open.";
    TooManyWires "too_many_wires" "The wires between cells number more than 1,000,000.";
    Cycle "cycle" "Stages wait for each other in a circle.";
    // publish
    InvalidPublishPath "invalid_publish_path" "A folder under `publish` is not inside the project.";
    PublishConflict "publish_conflict" "Two outputs are published to one place.";
    // shell
    ExpressionInSingleQuotes "expression_in_single_quotes" "Warning: an expression stands in single quotes of a shell command, where the shell puts no value in.";
}

/// What the texts of all codes begin with.
pub const PREFIX: &str = "supermoe::workflow::";

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_explained() {
        let ids: HashSet<_> = Code::ALL.iter().map(|code| code.id()).collect();
        assert_eq!(ids.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.explanation().ends_with('.'), "{code}");
        }
        assert_eq!(
            Code::UnknownKey.to_string(),
            "supermoe::workflow::unknown_key"
        );
    }
}
