using System.Text.Json.Serialization;

namespace BgSync.Tool.Demo;

/// <summary>An instruction of the demo to its application: a line of JSON on standard input, answered by one report.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "do")]
[JsonDerivedType(typeof(PlaceOrder), "order")]
[JsonDerivedType(typeof(UploadPhoto), "photo")]
[JsonDerivedType(typeof(ListEntries), "list")]
internal abstract record ApplicationCommand
{
    /// <summary>Sends an order to <c>/orders</c>.</summary>
    internal sealed record PlaceOrder(Order Order) : ApplicationCommand;

    /// <summary>Sends a picture to <c>/albums/{album}/photos</c>.</summary>
    internal sealed record UploadPhoto(string Album, string File) : ApplicationCommand;

    /// <summary>Tells what stands in the queue; sends nothing.</summary>
    internal sealed record ListEntries : ApplicationCommand;
}
