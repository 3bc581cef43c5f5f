#pragma warning disable IDE0130
namespace Microsoft.Extensions.Http;

/// <summary>Stands for that of Microsoft.Extensions.Http.Polly.</summary>
internal class PolicyHttpMessageHandler : DelegatingHandler;
