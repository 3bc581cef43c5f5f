using System.Security.Cryptography;
using System.Text.Json;

namespace BgSync.Tool.Demo;

/// <summary>Makes what the application uploads: orders, and picture files in albums.</summary>
internal static class UploadPlan
{
    private const long SmallestImage = 300 * 1024;
    private const long LargestImage = 20 * 1024 * 1024;

    private static readonly string[] _albums = ["alps", "lakes", "coast"];

    /// <summary>Orders and images in turn, so that each part of the demo gets some of both.</summary>
    public static IReadOnlyList<Upload> Make(DirectoryInfo directory, int orders, int images, CancellationToken cancellationToken)
    {
        List<Upload> uploads = [];
        var placed = 0;
        var drawn = 0;
        while (placed < orders || drawn < images)
        {
            cancellationToken.ThrowIfCancellationRequested();

            // The kind of which the smaller part is done comes next.
            var order = drawn == images || (placed < orders && placed * images <= drawn * orders);
            uploads.Add(order ? PlaceOrder(++placed) : DrawImage(directory, ++drawn, images));
        }

        return uploads;
    }

    private static Upload PlaceOrder(int number)
    {
        var order = Order.Sample(number);
        var body = JsonSerializer.SerializeToUtf8Bytes(order, DemoJson.Default.Order);
        return new Upload(
            $"order {number}",
            new ApplicationCommand.PlaceOrder(order),
            "/orders",
            Convert.ToHexString(SHA256.HashData(body)),
            body.Length);
    }

    private static Upload DrawImage(DirectoryInfo directory, int number, int images)
    {
        var album = _albums[number % _albums.Length];
        var file = Path.Combine(directory.FullName, $"{album}-{number}.png");
        using var image = File.Create(file);
        PngImage.Write(image, seed: number, SizeOf(number, images));

        image.Position = 0;
        return new Upload(
            Path.GetFileName(file),
            new ApplicationCommand.UploadPhoto(album, file),
            $"/albums/{album}/photos",
            Convert.ToHexString(SHA256.HashData(image)),
            image.Length);
    }

    /// <summary>Each image is larger than the one before by the same factor, and the last is the largest.</summary>
    private static long SizeOf(int number, int images) =>
        images == 1 ? LargestImage : (long)(SmallestImage * Math.Pow(LargestImage / (double)SmallestImage, (number - 1.0) / (images - 1)));
}
