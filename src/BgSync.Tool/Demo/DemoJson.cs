using System.Text.Json;
using System.Text.Json.Serialization;

namespace BgSync.Tool.Demo;

/// <summary>The JSON of the demo, generated when it is built.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Order))]
[JsonSerializable(typeof(ApplicationCommand))]
[JsonSerializable(typeof(ApplicationReport))]
internal sealed partial class DemoJson : JsonSerializerContext;
