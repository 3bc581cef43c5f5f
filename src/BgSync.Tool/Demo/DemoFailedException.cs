namespace BgSync.Tool.Demo;

/// <summary>The demo could not go on; the message is for whoever runs it.</summary>
internal sealed class DemoFailedException(string message) : Exception(message);
