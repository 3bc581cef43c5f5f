using System.Net.Http.Headers;
using System.Net.Http.Json;

namespace BgSync.Tool.Demo;

/// <summary>A typed client as any application has one: nothing in it knows of a queue.</summary>
internal sealed class UploadClient(HttpClient http)
{
    public Task<HttpResponseMessage> PlaceOrderAsync(Order order, CancellationToken cancellationToken) =>
        http.PostAsJsonAsync("orders", order, DemoJson.Default.Order, cancellationToken);

    public async Task<HttpResponseMessage> UploadPhotoAsync(string album, string file, CancellationToken cancellationToken)
    {
        using var photo = new StreamContent(File.OpenRead(file));
        photo.Headers.ContentType = new MediaTypeHeaderValue("image/png");
        return await http.PostAsync(new Uri($"albums/{album}/photos", UriKind.Relative), photo, cancellationToken);
    }
}
