namespace BgSync.Tool.Demo;

/// <summary>Something that the application is to upload, and what must arrive for it.</summary>
/// <param name="Title">Its name in the output.</param>
/// <param name="Command">The command that the application is told.</param>
/// <param name="Path">The path at which it must arrive.</param>
/// <param name="Sha256">The hash of its body, in hexadecimal.</param>
/// <param name="Length">The length of its body in bytes.</param>
internal sealed record Upload(string Title, ApplicationCommand Command, string Path, string Sha256, long Length);
