//! The messages of an event file, as far as they are written here, with the numbers that TensorBoard gives their fields
//! (`event.proto`, `summary.proto`, `plugin_data.proto` of the plugin `hparams`).

use prost::Message;
use std::collections::BTreeMap;

/// The form of event files that every reader knows.
const VERSION: &str = "brain.Event:2";
/// The plugin that shows hyper-parameters.
const SETTINGS: &str = "hparams";

/// An event: something at a time and a step.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Values>,
}

#[derive(Clone, PartialEq, Message)]
struct Values {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Summary>,
}

/// A named value.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded: Vec<u8>,
}

/// A tensor without content, which every value of a plugin has to have.
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    #[prost(float, repeated, tag = "5")]
    float_val: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, Message)]
struct PluginData {
    #[prost(string, tag = "1")]
    plugin_name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Session {
    #[prost(message, optional, tag = "3")]
    begun: Option<Begun>,
    #[prost(message, optional, tag = "4")]
    ended: Option<Ended>,
}

#[derive(Clone, PartialEq, Message)]
struct Begun {
    #[prost(btree_map = "string, message", tag = "1")]
    settings: BTreeMap<String, Setting>,
    #[prost(string, tag = "4")]
    group: String,
    #[prost(double, tag = "5")]
    seconds: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Ended {
    #[prost(enumeration = "Status", tag = "1")]
    status: i32,
    #[prost(double, tag = "2")]
    seconds: f64,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Status {
    /// It is not known.
    Unknown = 0,
    /// Well.
    Success = 1,
}

/// The value of a hyper-parameter.
#[derive(Clone, PartialEq, Message)]
pub struct Setting {
    #[prost(double, optional, tag = "2")]
    number_value: Option<f64>,
    #[prost(string, optional, tag = "3")]
    string_value: Option<String>,
    #[prost(bool, optional, tag = "4")]
    bool_value: Option<bool>,
}

impl Event {
    /// The first event of a file.
    pub fn version(wall_time: f64) -> Self {
        Event { wall_time, step: 0, file_version: Some(VERSION.into()), summary: None }
    }

    /// A value at a time and a step.
    pub fn of(wall_time: f64, step: i64, value: Summary) -> Self {
        Event { wall_time, step, file_version: None, summary: Some(Values { value: vec![value] }) }
    }
}

impl Summary {
    /// A number.
    pub fn scalar(tag: &str, value: f32) -> Self {
        Summary { tag: tag.into(), simple_value: Some(value), ..Summary::default() }
    }

    /// A PNG file of this size in pixels.
    pub fn picture(tag: &str, width: i32, height: i32, encoded: Vec<u8>) -> Self {
        let image = Image { height, width, colorspace: 3, encoded };
        Summary { tag: tag.into(), image: Some(image), ..Summary::default() }
    }

    /// The begin of a session with its hyper-parameters.
    pub fn session_begun(group: &str, seconds: f64, settings: BTreeMap<String, Setting>) -> Self {
        let begun = Begun { settings, group: group.into(), seconds };
        Self::of_session("_hparams_/session_start_info", Session { begun: Some(begun), ended: None })
    }

    /// The end of a session.
    pub fn session_ended(status: Status, seconds: f64) -> Self {
        let ended = Ended { status: status.into(), seconds };
        Self::of_session("_hparams_/session_end_info", Session { begun: None, ended: Some(ended) })
    }

    fn of_session(tag: &str, session: Session) -> Self {
        let plugin_data = PluginData { plugin_name: SETTINGS.into(), content: session.encode_to_vec() };
        let tensor = Tensor { dtype: 1, shape: Some(Shape { dim: vec![Dim { size: 1 }] }), float_val: vec![0.0] };
        let metadata = Metadata { plugin_data: Some(plugin_data) };
        Summary { tag: tag.into(), tensor: Some(tensor), metadata: Some(metadata), ..Summary::default() }
    }
}

impl Setting {
    /// A number.
    pub fn number(value: f64) -> Self {
        Setting { number_value: Some(value), ..Setting::default() }
    }

    /// A text.
    pub fn text(value: String) -> Self {
        Setting { string_value: Some(value), ..Setting::default() }
    }

    /// Yes or no.
    pub fn truth(value: bool) -> Self {
        Setting { bool_value: Some(value), ..Setting::default() }
    }
}
